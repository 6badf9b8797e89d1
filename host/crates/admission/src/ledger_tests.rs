//! The holdings of running pipelines count for every later pipeline, in any process.

use std::collections::BTreeMap;

use super::tests::{OVERCOMMIT, STRICT, decide, fraction, held, licences, machine, memory, operator, pipeline, whole};
use super::*;
use sage_machine::{Amounts, Claim, Holdings, Supply};
use sage_models::Devices;
use sage_plan::config::{GivenCpus, TenantCeiling, TenantName};
use sage_plan::{Kind, Plan, Resources};

fn claim(pid: u32, tenant: &str, amounts: Amounts) -> Claim {
    Claim { pid, pipeline: "other".to_owned(), tenant: tenant.to_owned(), amounts, ..Claim::default() }
}

fn taken(claims: Vec<Claim>) -> Holdings {
    Holdings { claims, ..Holdings::default() }
}

fn licence(amount: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([("licence".to_owned(), amount)])
}

fn of(tenant: &str) -> Options {
    Options { tenant: tenant.parse().unwrap(), ..Options::default() }
}

fn one(resources: Resources) -> Plan {
    pipeline([operator("a", Kind::Map, 2, resources)])
}

fn refused(plan: &Plan, supply: &Supply, options: &Options, taken: &Holdings) -> String {
    decide(plan, &machine(4), supply, options, taken).expect_err("a refusal").to_string()
}

#[test]
fn what_others_hold_is_refused_with_wanted_free_and_by_whom() {
    let gib = |count: u64| Amounts { memory: count << 30, memory_at_most: count << 30, ..Amounts::default() };
    let shares = |shares| Amounts { shares, ..Amounts::default() };
    let custom = |amount| Amounts { custom: licence(amount), ..Amounts::default() };
    let supply = Supply { custom: licence(30_000), ..Supply::default() };
    for (what, resources, held_by_others, text) in [
        (
            "memory",
            memory(2 << 30),
            vec![claim(7, "blue", gib(3)), claim(9, "green", gib(2)), claim(10, "green", shares(1))],
            "the pipeline wants 4GiB of memory, 3GiB is free\n  \
             \"a\": 2 instances × memory = 2GiB\n  \
             0B kept for the host\n  \
             process 7 (pipeline \"other\", tenant \"blue\") holds 3GiB\n  \
             process 9 (pipeline \"other\", tenant \"green\") holds 2GiB\n  \
             hint: lower memory or parallelism, or pass --overcommit",
        ),
        (
            "shares",
            fraction(5_000),
            vec![claim(7, "blue", shares(30_001))],
            "shares come to 1 CPUs beside 3.0001 of other pipelines, 4 are left unleased\n  \
             \"a\": 2 instances × 0.5\n  \
             process 7 (pipeline \"other\", tenant \"blue\") holds 3.0001 CPUs in shares\n  \
             hint: lower num_cpus or parallelism, or pass --overcommit",
        ),
        (
            "leases that others' shares need",
            whole(1),
            vec![claim(7, "blue", shares(20_001))],
            "shares come to 0 CPUs beside 2.0001 of other pipelines, 2 are left unleased\n  \
             process 7 (pipeline \"other\", tenant \"blue\") holds 2.0001 CPUs in shares\n  \
             hint: lower num_cpus or parallelism, or pass --overcommit",
        ),
        (
            "custom resources",
            licences(10_000),
            vec![claim(7, "blue", custom(20_000)), claim(8, "blue", gib(1))],
            "the pipeline wants 2 of licence, this host declares 3 and 1 is free\n  \"a\": 2 instances × 1\n  \
             process 7 (pipeline \"other\", tenant \"blue\") holds 2 of licence\n  \
             hint: lower licence or parallelism, raise it in host.toml if there is more, or pass --overcommit",
        ),
    ] {
        let (plan, taken) = (one(resources), taken(held_by_others));
        assert_eq!(refused(&plan, &supply, &STRICT, &taken), text, "{what}");
        assert!(fits_alone(&plan, &machine(4), &supply, &STRICT, &Devices::default()), "{what}: nothing to wait for");
        decide(&plan, &machine(4), &supply, &OVERCOMMIT, &taken).expect(what);
    }
    assert!(
        !fits_alone(&one(memory(5 << 30)), &machine(4), &supply, &STRICT, &Devices::default()),
        "it would wait for what never comes"
    );
}

#[test]
fn what_still_fits_beside_others_is_granted_and_the_totals_name_theirs() {
    let amounts = Amounts {
        memory: 4 << 30,
        memory_at_most: 4 << 30,
        shares: 30_000,
        custom: licence(10_000),
        ..Amounts::default()
    };
    let supply = Supply { custom: licence(30_000), ..Supply::default() };
    let resources = Resources { memory: Some(2 << 30), custom: licence(10_000), ..fraction(5_000) };
    let grant = decide(&one(resources), &machine(4), &supply, &STRICT, &taken(vec![claim(7, "x", amounts)])).unwrap();
    let totals = &grant.report.totals;
    assert_eq!((totals.memory_elsewhere, totals.shares_elsewhere_ten_thousandths), (4 << 30, 30_000));
    let text = totals.to_string();
    assert!(
        text.contains("shares come to 1 beside 3 of others\n") && text.contains(", 4GiB held by others, "),
        "{text}"
    );
    let claimed =
        Amounts { memory: 4 << 30, memory_at_most: 4 << 30, shares: 10_000, unleased: 0, custom: licence(20_000) };
    assert_eq!(grant.amounts, claimed);
    // A pipeline that requests nothing is admitted, however much others hold.
    let nothing = decide(
        &one(Resources::default()),
        &machine(4),
        &Supply::default(),
        &STRICT,
        &taken(vec![claim(7, "x", Amounts { memory: u64::MAX, shares: u64::MAX, ..Amounts::default() })]),
    );
    assert_eq!(nothing.unwrap().amounts.memory_at_most, 512 << 20);
}

#[test]
fn a_host_gives_away_no_more_than_its_settings_say() {
    let supply = Supply { cpus: GivenCpus::These([1, 2].into()), memory: Some(1 << 30), ..Supply::default() };
    let grant = decide(&one(Resources::default()), &machine(4), &supply, &STRICT, &Holdings::default()).unwrap();
    assert_eq!(grant.allowed.to_string(), "1-2");
    assert_eq!(
        refused(&one(Resources { memory: Some(1 << 30), ..whole(1) }), &supply, &STRICT, &held(&[0, 3])),
        "operator \"a\" wants 2 CPUs (2 instances × 1), 1 is free\n  \
         of 2 CPUs (1-2), 1 never leased, 0 for other operators of this pipeline, 0 leased already\n  \
         2 CPUs more may be used, and host.toml does not give them away\n  \
         hint: lower num_cpus or parallelism, or pass --overcommit\n\
         the pipeline wants 2GiB of memory, 1GiB is there\n  \"a\": 2 instances × memory = 1GiB\n  \
         host.toml gives away at most 1GiB\n  hint: lower memory or parallelism, or pass --overcommit"
    );
    let supply = Supply { cpus: GivenCpus::These([3, 4].into()), ..Supply::default() };
    assert_eq!(
        refused(&one(Resources::default()), &supply, &OVERCOMMIT, &Holdings::default()),
        "host.toml gives away CPUs 3-4, this process may use 4 CPUs (0-3)\n  \
         hint: correct cpus in host.toml, or start sage-host where it may use them"
    );
}

fn tenants() -> Supply {
    let blue = TenantCeiling {
        cpus: Some(15_000),
        memory: Some(2 << 30),
        resources: licence(10_000),
        ..TenantCeiling::default()
    };
    let tenants = [("blue", blue), ("green", TenantCeiling::default())];
    Supply {
        custom: licence(90_000),
        tenants: tenants.map(|(name, ceiling)| (name.parse::<TenantName>().unwrap(), ceiling)).into(),
        ..Supply::default()
    }
}

#[test]
fn a_tenants_ceiling_counts_everything_of_the_tenant_and_is_never_overcommitted() {
    let supply = tenants();
    let mut leased = claim(7, "blue", Amounts { shares: 2_500, ..Amounts::default() });
    leased.cpus = [3].into_iter().collect();
    let mut green = leased.clone();
    green.tenant = "green".to_owned();
    let at_most = Amounts { memory_at_most: 1 << 30, custom: licence(5_000), ..Amounts::default() };
    let unleased = Amounts { unleased: 1, ..Amounts::default() };
    for (what, resources, others, line) in [
        (
            "leased CPUs and shares",
            fraction(1_251),
            leased.clone(),
            "0.2502 of tenant \"blue\"'s CPUs, 0.25 of 1.5 is free",
        ),
        ("whole CPUs", whole(1), green.clone(), "2 of tenant \"blue\"'s CPUs, 1.5 of 1.5 is free"),
        (
            "CPUs asked for in vain",
            fraction(2_501),
            claim(7, "blue", unleased),
            "0.5002 of tenant \"blue\"'s CPUs, 0.5 of 1.5 is free",
        ),
        (
            "memory",
            memory(513 << 20),
            claim(7, "blue", at_most.clone()),
            "1.0GiB of tenant \"blue\"'s memory, 1GiB of 2GiB is free",
        ),
        (
            "custom resources",
            licences(5_000),
            claim(7, "blue", at_most.clone()),
            "1 of tenant \"blue\"'s licence, 0.5 of 1 is free",
        ),
    ] {
        let others = taken(vec![others]);
        for options in [of("blue"), Options { overcommit: true, ..of("blue") }] {
            let text = refused(&one(resources.clone()), &supply, &options, &others);
            assert!(text.starts_with(&format!("the pipeline wants {line}\n")), "{what}: {text}");
            assert!(text.ends_with("of host.toml; --overcommit does not lift it"), "{what}: {text}");
        }
        decide(&one(resources), &machine(4), &supply, &of("green"), &others).expect(what);
    }
    let text = refused(&one(fraction(1_251)), &supply, &of("blue"), &taken(vec![leased, green]));
    assert!(
        text.contains("\n  process 7 (pipeline \"other\", tenant \"blue\") holds 1.25\n") && !text.contains("green"),
        "{text}"
    );
    decide(&one(fraction(1_250)), &machine(4), &supply, &of("blue"), &Holdings::default()).unwrap();
    // Caps of instances that request nothing count too, because nothing else keeps them below the ceiling.
    let many = pipeline([operator("a", Kind::Map, 9, Resources::default())]);
    let text = refused(&many, &supply, &of("blue"), &Holdings::default());
    assert!(text.starts_with("the pipeline wants 2.2GiB of tenant \"blue\"'s memory, 2GiB of 2GiB is free"), "{text}");
}

#[test]
fn where_tenants_are_named_no_other_may_run() {
    for name in ["default", "red"] {
        assert_eq!(
            refused(&one(Resources::default()), &tenants(), &of(name), &Holdings::default()),
            format!(
                "host.toml names no tenant \"{name}\"\n  host.toml names blue, green\n  \
                 hint: name the tenant with --tenant, or add [tenant.{name}] to host.toml"
            )
        );
    }
    decide(&one(Resources::default()), &machine(4), &Supply::default(), &of("red"), &Holdings::default()).unwrap();
}
