//! What is there from the beginning in the development stack: two licenses, the people they text, and the managers among
//! whom one chooses at the console's sign-in.
//!
//! The phone numbers belong to nobody (555-0100 to 555-0199).

use std::path::Path;

use anyhow::Result;
use engines::write_private;
use serde_json::json;

use crate::token::Signer;

/// A customer.
#[derive(Debug)]
pub struct DemoLicense {
    pub id: &'static str,
    pub company_name: &'static str,
    pub company_phone: &'static str,
    pub managers: &'static [Manager],
    pub people: &'static [Person],
}

/// Somebody who signs in.
#[derive(Debug)]
pub struct Manager {
    pub id: &'static str,
    pub name: &'static str,
    /// `manager` or `admin`.
    pub role: &'static str,
}

/// Somebody whom managers text.
#[derive(Debug)]
pub struct Person {
    pub id: &'static str,
    pub kind: &'static str,
    pub name: &'static str,
    /// The preferred one first.
    pub phones: &'static [&'static str],
}

pub const DEMO_LICENSES: [&DemoLicense; 2] = [&DEMO, &SECOND_STREET];

/// Where everything is tried.
pub const DEMO: DemoLicense = DemoLicense {
    id: "demo",
    company_name: "Demo Property Management",
    company_phone: "+14155550100",
    managers: &[
        Manager { id: "mia", name: "Mia Manager", role: "manager" },
        Manager { id: "max", name: "Max Manager", role: "manager" },
        Manager { id: "adam", name: "Adam Admin", role: "admin" },
    ],
    people: &[
        Person { id: "tenant-ana", kind: "tenant", name: "Ana Torres", phones: &["+14155550101"] },
        Person { id: "tenant-ben", kind: "tenant", name: "Ben Okafor", phones: &["+14155550102", "+15105550112"] },
        // A couple with one phone.
        Person { id: "tenant-grace", kind: "tenant", name: "Grace Lindqvist", phones: &["+14155550106"] },
        Person { id: "tenant-henrik", kind: "tenant", name: "Henrik Lindqvist", phones: &["+14155550106"] },
        Person { id: "tenant-imani", kind: "tenant", name: "Imani Brooks", phones: &["+15105550107"] },
        Person { id: "tenant-jun", kind: "tenant", name: "Jun Nakamura", phones: &["+14155550108", "+14085550118"] },
        // Nobody can text her.
        Person { id: "tenant-pilar", kind: "tenant", name: "Pilar Reyes", phones: &[] },
        Person { id: "lead-chloe", kind: "lead", name: "Chloe Martin", phones: &["+12125550103"] },
        Person { id: "lead-kofi", kind: "lead", name: "Kofi Mensah", phones: &["+16505550109"] },
        Person { id: "vendor-dario", kind: "vendor", name: "Dario's Plumbing", phones: &["+13125550104"] },
        Person { id: "vendor-moreno", kind: "vendor", name: "Moreno Electric", phones: &["+14155550111"] },
        Person { id: "owner-elif", kind: "owner", name: "Elif Kaya", phones: &["+16465550105"] },
        Person { id: "owner-nadia", kind: "owner", name: "Nadia Petrov", phones: &["+13055550113"] },
    ],
};

/// Sees nothing of the first one.
const SECOND_STREET: DemoLicense = DemoLicense {
    id: "second-street",
    company_name: "Second Street Rentals",
    company_phone: "+12065550100",
    managers: &[Manager { id: "olga", name: "Olga Admin", role: "admin" }],
    people: &[
        Person { id: "tenant-quinn", kind: "tenant", name: "Quinn Walker", phones: &["+12065550101"] },
        Person { id: "lead-rosa", kind: "lead", name: "Rosa Delgado", phones: &["+12065550102"] },
    ],
};

/// Writes the list of managers with their tokens, as the gateway's `console.sign_in_file` takes it.
///
/// # Errors
/// When the file cannot be written.
pub fn write_sign_in(path: &Path, signer: &Signer) -> Result<()> {
    let mut choices = Vec::new();
    for license in DEMO_LICENSES {
        for &Manager { id, name, role } in license.managers {
            let token = signer.sign(license.id, role, id, name)?;
            let label = format!("{name}, {}", license.company_name);
            choices.push(json!({
                "label": label, "name": name, "role": role, "license_id": license.id, "token": token,
            }));
        }
    }
    write_private(path, &serde_json::to_string_pretty(&choices)?)
}
