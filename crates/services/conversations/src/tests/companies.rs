//! What a license's company says about itself.

use super::*;

fn company(world: &World, name: &str, phone: Option<&str>, version: u64) -> numbers::CompanyChanged {
    numbers::CompanyChanged {
        license_id: ACME.to_owned(),
        company_name: name.to_owned(),
        company_phone: phone.map(str::to_owned),
        changed_at: Some(to_timestamp(world.clock.now())),
        version,
    }
}

#[tokio::test]
async fn what_a_company_says_about_itself_shows_on_the_feed_and_news_that_come_late_change_nothing() {
    let world = World::start().await;
    world.apply(&[company(&world, "Acme Homes", Some("+14152000099"), 2)]).await;
    world.apply(&[company(&world, "Acme", None, 1), company(&world, "Acme Homes", None, 2)]).await;
    let entries = world.feed_after(ACME, 0).await;
    assert_eq!(kinds(&entries), ["company.updated"]);
    assert_eq!(entries[0].occurred_at, Some(to_timestamp(world.clock.now())));
    let shown = |name: &str, phone: Option<&str>| {
        let company_phone = phone.map(str::to_owned);
        Some(Content::CompanyUpdated(wire::CompanyUpdated { company_name: name.to_owned(), company_phone }))
    };
    assert_eq!(entries[0].content, shown("Acme Homes", Some("+14152000099")));

    // The number is another fact of the same row: neither touches the other.
    world.assign(ACME, OFFICE, 1).await;
    world.apply(&[company(&world, "Acme & Daughters", None, 3)]).await;
    let entries = world.feed_after(ACME, 1).await;
    assert_eq!(kinds(&entries), ["number.changed", "company.updated"]);
    assert_eq!(entries[1].content, shown("Acme & Daughters", None));
    let Some(Content::NumberChanged(number)) = &entries[0].content else { panic!("{entries:?}") };
    assert_eq!(number.number, OFFICE);

    // Both as before: something beside them in the settings has changed, as quiet hours.
    world.apply(&[company(&world, "Acme & Daughters", None, 4)]).await;
    let entries = world.feed_after(ACME, 3).await;
    assert_eq!(kinds(&entries), ["company.updated"]);
    assert_eq!(entries[0].content, shown("Acme & Daughters", None));
    world.finish().await;
}
