use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use sage_jobs::{OrderUser, read_json, write_json};
use sage_plan::config::{TenantCeiling, TenantName, UidRange};
use serde::{Deserialize, Serialize};

use super::{StateFolder, StoreError};

/// The users that jobs of tenants run as. A tenant keeps the user that it was given, and no other tenant is ever given
/// that one: files in granted folders may belong to it.
#[derive(Debug)]
pub struct TenantUsers;

/// The file with the users that were given.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Given {
    users: BTreeMap<TenantName, u32>,
}

impl TenantUsers {
    /// The users of all declared tenants. Those that have none yet are given one, which is on disk when this returns.
    ///
    /// # Errors
    /// [`StoreError::Users`] if there are more tenants than users, or a user that a tenant names does not exist; the
    /// file cannot be read or written.
    pub fn of(
        state: &StateFolder,
        range: UidRange,
        tenants: &BTreeMap<TenantName, TenantCeiling>,
    ) -> Result<BTreeMap<TenantName, OrderUser>, StoreError> {
        let path = state.root().join("users.json");
        let mut given: Given = match read_json(&path) {
            Ok(given) => given,
            Err(error) if error.is_absent() => Given::default(),
            Err(error) => return Err(error.into()),
        };
        let before = given.users.len();
        let mut users = BTreeMap::new();
        for (tenant, ceiling) in tenants {
            let user = match &ceiling.user {
                Some(name) => named(name, Path::new("/etc/passwd")).map_err(|why| failed(tenant, why))?,
                None => {
                    let number = match given.users.get(tenant) {
                        Some(number) => *number,
                        None => next(&given, range).map_err(|why| failed(tenant, why))?,
                    };
                    given.users.insert(tenant.clone(), number);
                    OrderUser { user: number, group: number }
                }
            };
            users.insert(tenant.clone(), user);
        }
        if given.users.len() > before {
            write_json(&path, &given)?;
        }
        Ok(users)
    }
}

fn failed(tenant: &TenantName, why: String) -> StoreError {
    StoreError::Users { tenant: tenant.to_string(), why }
}

/// The lowest number that no tenant was ever given.
fn next(given: &Given, range: UidRange) -> Result<u32, String> {
    let taken: BTreeSet<u32> = given.users.values().copied().collect();
    let free = range.of_tenants().find(|number| !taken.contains(number));
    free.ok_or_else(|| {
        format!("all {} users of uids in [serve] were given to tenants already", range.of_tenants().count())
    })
}

/// A user in a file like /etc/passwd.
fn named(name: &str, passwd: &Path) -> Result<OrderUser, String> {
    let text = fs::read_to_string(passwd).map_err(|error| format!("cannot read {}: {error}", passwd.display()))?;
    let line = text.lines().find(|line| line.split(':').next() == Some(name));
    let line = line.ok_or_else(|| format!("there is no user \"{name}\" in {}", passwd.display()))?;
    let mut numbers = line.split(':').skip(2).map_while(|field| field.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(user), Some(group)) if user != 0 && group != 0 => Ok(OrderUser { user, group }),
        (Some(_), Some(_)) => Err(format!("the user \"{name}\" is root, or in its group")),
        _ => Err(format!("the line of \"{name}\" in {} has no numbers", passwd.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenants(names: &[&str]) -> BTreeMap<TenantName, TenantCeiling> {
        names.iter().map(|name| (name.parse().unwrap(), TenantCeiling::default())).collect()
    }

    #[test]
    fn a_tenant_keeps_its_user_and_no_other_ever_gets_it() {
        let root = tempfile::tempdir().unwrap();
        let state = StateFolder::open(root.path()).unwrap();
        let range = UidRange { first: 5000, count: 4 };
        let users = |names: &[&str]| {
            let users = TenantUsers::of(&state, range, &tenants(names));
            users.map(|users| users.into_iter().map(|(name, user)| (name.to_string(), user.user)).collect::<Vec<_>>())
        };
        assert_eq!(users(&["blue", "green"]).unwrap(), [("blue".to_owned(), 5001), ("green".to_owned(), 5002)]);
        assert_eq!(users(&["green"]).unwrap(), [("green".to_owned(), 5002)]);
        assert_eq!(users(&["amber", "green"]).unwrap(), [("amber".to_owned(), 5003), ("green".to_owned(), 5002)]);
        let error = users(&["red"]).unwrap_err().to_string();
        assert_eq!(error, "tenant red has no user: all 3 users of uids in [serve] were given to tenants already");
        assert_eq!(users(&["blue"]).unwrap(), [("blue".to_owned(), 5001)]);
    }

    #[test]
    fn a_user_that_a_tenant_names_exists_and_is_not_root() {
        let root = tempfile::tempdir().unwrap();
        let passwd = root.path().join("passwd");
        fs::write(&passwd, "root:x:0:0::/:/bin/sh\nblue:x:1001:1002::/:/bin/sh\nodd:x:1:0::/:\nbad:x::\n").unwrap();
        assert_eq!(named("blue", &passwd), Ok(OrderUser { user: 1001, group: 1002 }));
        for (name, says) in
            [("root", "is root"), ("odd", "in its group"), ("green", "there is no user"), ("bad", "has no numbers")]
        {
            let error = named(name, &passwd).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
