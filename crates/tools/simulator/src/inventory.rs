//! What is for sale: for each area code of the United States the same random-looking numbers in every run.
//! It never makes a service code (N11), a 555 or a 976 exchange. Both carriers sell the same numbers.

use crate::area_codes;
use crate::numbers::Numbers;

/// Numbers for sale in one area code before any is taken.
const PER_AREA_CODE: u64 = 2_000;
/// How often a search without an area code looks for a number before it gives up.
const DRAWS: u64 = 20_000;

/// What nobody has, in one area code or anywhere.
pub(crate) fn list_for_sale(numbers: &Numbers, area_code: Option<u16>) -> Box<dyn Iterator<Item = String> + '_> {
    let free = |number: &String| !numbers.is_taken(number);
    match area_code {
        Some(area_code) => Box::new(list_area(area_code).filter(free)),
        None => Box::new(list_anywhere().filter(free)),
    }
}

/// The numbers of one area code, in the order in which a search shows them. Empty outside the United States.
fn list_area(area_code: u16) -> impl Iterator<Item = String> {
    let count = if area_codes::is_us(area_code) { PER_AREA_CODE } else { 0 };
    (0..count).filter_map(move |index| find_number(area_code, index))
}

/// Numbers from all over the country.
fn list_anywhere() -> impl Iterator<Item = String> {
    (0..DRAWS).filter_map(|draw| {
        let area_code = *area_codes::US.get(usize::try_from(scatter(draw) % area_codes::US.len() as u64).ok()?)?;
        find_number(area_code, scatter(draw ^ 0x5eed) % PER_AREA_CODE)
    })
}

/// A line in a good exchange, or nothing when the dice fall on an exchange that is not assigned.
fn find_number(area_code: u16, index: u64) -> Option<String> {
    let dice = scatter(u64::from(area_code) << 32 | index);
    let exchange = 200 + dice % 800;
    if exchange % 100 == 11 || exchange == 555 || exchange == 976 {
        return None;
    }
    // The index is part of the line, so that an area code never offers a number twice in one exchange.
    let line = (dice / 800 % 5) * PER_AREA_CODE + index;
    Some(format!("+1{area_code}{exchange}{line:04}"))
}

/// The finaliser of splitmix64: the same input gives the same number, neighbours look unrelated.
fn scatter(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::e164;

    #[test]
    fn an_area_code_offers_the_same_valid_numbers_in_every_run() {
        let first: Vec<String> = list_area(415).collect();
        assert_eq!(first, list_area(415).collect::<Vec<_>>());
        assert!(first.len() > 1_900);
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), first.len());
        assert!(
            first
                .iter()
                .all(|number| e164::is_dialable(number) && number.starts_with("+1415") && &number[5..8] != "555")
        );
    }

    #[test]
    fn outside_the_united_states_nothing_is_for_sale() {
        for area_code in [204, 242, 800, 900, 500, 555, 0] {
            assert_eq!(list_area(area_code).count(), 0, "{area_code}");
        }
    }

    #[test]
    fn a_search_anywhere_finds_many_area_codes() {
        let area_codes: HashSet<String> = list_anywhere().take(50).map(|number| number[2..5].to_owned()).collect();
        assert!(area_codes.len() > 20);
    }
}
