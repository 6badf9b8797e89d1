use sage_serve::access::Role;
use sage_serve::api::route_list;

use super::over_tcp::{Answer, ask, ask_as, token};
use super::serving::Serving;
use sage_test_support::wait_until;

const TENANTS: &str = "[tenant.blue]\n[tenant.green]\n";

/// The paths of a route with something in place of each variable.
fn filled(path: &str, tenant: &str) -> String {
    let digest = format!("sha256:{}", "0".repeat(64));
    let names = [
        ("{tenant}", tenant),
        ("{name}", "none"),
        ("{secret}", "none"),
        ("{digest}", &digest),
        ("{id}", "aaaaaaaaaaaa"),
        ("{revision}", "1"),
    ];
    names.iter().fold(path.to_owned(), |path, (variable, value)| path.replace(variable, value))
}

/// The answer to a request that may come too early for the limits on the rate of requests.
fn in_time(ask: impl Fn() -> Answer) -> Answer {
    wait_until("the request is not too early", || Some(ask()).filter(|answer| answer.status != 429))
}

#[test]
fn every_route_asks_for_a_token_with_its_role() {
    let mut serving = Serving::with_host(TENANTS);
    serving.start();
    // A token of each role, of a tenant where there can be one.
    let tokens = Role::ALL.map(|role| {
        let options = ["--role", role.name(), "--tenant", "blue"];
        let options = if role == Role::Admin { &options[..2] } else { &options[..] };
        (role, token(&serving, options))
    });
    let mut seen = 0;
    for route in route_list() {
        for path in route.paths() {
            let anonymous = in_time(|| ask(&serving, route.method, &filled(&path, "blue"), &[], ""));
            let Some(needed) = route.role else {
                assert_ne!(anonymous.status, 401, "{route:?}: {anonymous:?}");
                continue;
            };
            assert_eq!((anonymous.status, anonymous.code().as_str()), (401, "no-credential"), "{route:?}");
            assert!(anonymous.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
            for (role, token) in &tokens {
                let answer = in_time(|| ask_as(&serving, token, route.method, &filled(&path, "blue"), "{}"));
                let refused = answer.status == 403 && answer.code() == "role-too-low";
                assert_eq!(refused, !role.allows(needed), "{role} {route:?}: {answer:?}");
                assert_ne!(answer.status, 401, "{role} {route:?}: {answer:?}");
                if path.contains("{tenant}") && *role != Role::Admin {
                    for other in ["green", "none", "..", "default"] {
                        let answer = in_time(|| ask_as(&serving, token, route.method, &filled(&path, other), "{}"));
                        let expected = (404, format!("there is no tenant \"{other}\""));
                        assert_eq!((answer.status, answer.json()["detail"].as_str().unwrap().to_owned()), expected);
                    }
                }
            }
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen} routes");
}
