//! What follows from putting people: who is new, who changed, and which ties come and go (rule 9).

use std::collections::{BTreeMap, HashMap};

use domain::{PersonId, PersonKind, PersonName, PhoneNumber};

/// What a company says about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Details {
    pub kind: PersonKind,
    pub name: PersonName,
    /// The preferred one first.
    pub numbers: Vec<PhoneNumber>,
}

/// What became of one put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    Created,
    Updated,
    Unchanged,
}

impl Put {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
        }
    }
}

/// What has to be written, and what each put is answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PeoplePlan {
    /// One for each put, in their order.
    pub puts: Vec<Put>,
    /// Those who are new or differ from before, as they are in the end.
    pub changed: BTreeMap<PersonId, Details>,
    /// Ties that come or go. A number that is only moved to another place stays tied.
    pub moved: Vec<(PersonId, PhoneNumber)>,
}

/// Several puts, one after the other: of a person that is put twice, the later one stays.
pub(crate) fn plan_people(before: &HashMap<PersonId, Details>, puts: Vec<(PersonId, Details)>) -> PeoplePlan {
    let mut now: BTreeMap<PersonId, Details> = BTreeMap::new();
    let results = puts
        .into_iter()
        .map(|(person_id, details)| {
            let known = now.get(&person_id).or_else(|| before.get(&person_id));
            let put = match known {
                None => Put::Created,
                Some(known) if *known == details => Put::Unchanged,
                Some(_) => Put::Updated,
            };
            now.insert(person_id, details);
            put
        })
        .collect();
    now.retain(|person_id, details| before.get(person_id) != Some(details));
    let mut moved = Vec::new();
    for (person_id, details) in &now {
        let old = before.get(person_id).map(|known| known.numbers.as_slice()).unwrap_or_default();
        let new = details.numbers.iter().filter(|number| !old.contains(number));
        let gone = old.iter().filter(|number| !details.numbers.contains(number));
        moved.extend(new.chain(gone).map(|number| (person_id.clone(), *number)));
    }
    PeoplePlan { puts: results, changed: now, moved }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: &str, name: &str, numbers: &[&str]) -> (PersonId, Details) {
        let details = Details {
            kind: PersonKind::Tenant,
            name: PersonName::parse(name).unwrap(),
            numbers: numbers.iter().map(|number| PhoneNumber::from_e164(number).unwrap()).collect(),
        };
        (PersonId::parse(id).unwrap(), details)
    }

    const N1: &str = "+14152000001";
    const N2: &str = "+14152000002";

    fn moved(plan: &PeoplePlan) -> Vec<(&str, &str)> {
        plan.moved.iter().map(|(person_id, number)| (person_id.as_str(), number.as_str())).collect()
    }

    #[test]
    fn of_a_person_that_is_put_twice_the_later_one_stays() {
        let puts = vec![person("a", "Ann", &[N1]), person("a", "Ann", &[N1]), person("a", "Anna", &[N2])];
        let plan = plan_people(&HashMap::new(), puts);
        assert_eq!(plan.puts, [Put::Created, Put::Unchanged, Put::Updated]);
        assert_eq!(plan.changed, BTreeMap::from([person("a", "Anna", &[N2])]));
        assert_eq!(moved(&plan), [("a", N2)]);
    }

    #[test]
    fn a_put_that_says_nothing_new_writes_nothing() {
        let before = HashMap::from([person("a", "Ann", &[N1, N2])]);
        let plan = plan_people(&before, vec![person("a", "Ann", &[N1, N2])]);
        assert_eq!((plan.puts.as_slice(), plan.changed.len()), ([Put::Unchanged].as_slice(), 0));
        // There and back again is nothing new either.
        let plan = plan_people(&before, vec![person("a", "Ann", &[]), person("a", "Ann", &[N1, N2])]);
        assert_eq!((plan.changed.len(), plan.moved.len()), (0, 0));
    }

    #[test]
    fn two_people_who_swap_numbers_each_lose_one_and_get_one() {
        let before = HashMap::from([person("a", "Ann", &[N1]), person("b", "Bob", &[N2])]);
        let plan = plan_people(&before, vec![person("a", "Ann", &[N2]), person("b", "Bob", &[N1])]);
        assert_eq!(moved(&plan), [("a", N2), ("a", N1), ("b", N1), ("b", N2)]);
    }

    #[test]
    fn another_order_of_the_same_numbers_is_a_change_and_moves_no_tie() {
        let before = HashMap::from([person("a", "Ann", &[N1, N2])]);
        let plan = plan_people(&before, vec![person("a", "Ann", &[N2, N1])]);
        assert_eq!((plan.changed.len(), plan.moved.len()), (1, 0));
    }
}
