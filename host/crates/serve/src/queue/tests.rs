use super::*;

fn queue(jobs: &[(&'static str, u32, u32)]) -> FairQueue<&'static str, u32> {
    let mut queue = FairQueue::default();
    for (tenant, weight, key) in jobs {
        queue.add(tenant, *weight, *key, None);
    }
    queue
}

fn all(queue: &mut FairQueue<&'static str, u32>, now: u64) -> Vec<u32> {
    std::iter::from_fn(|| queue.choose(now, |_| true)).collect()
}

#[test]
fn jobs_of_a_tenant_start_in_the_order_of_their_submission() {
    let mut queue = queue(&[("a", 1, 3), ("a", 1, 1), ("a", 1, 2)]);
    assert_eq!(queue.ahead(&2), Some(2));
    assert_eq!(all(&mut queue, 0), [3, 1, 2]);
    assert!(queue.is_empty());
}

#[test]
fn tenants_take_turns_by_their_weight() {
    let mut jobs = Vec::new();
    for n in 0..60 {
        jobs.extend([("heavy", 2, n), ("light", 1, 100 + n)]);
    }
    let mut queue = queue(&jobs);
    let first: Vec<u32> = (0..30).map(|_| queue.choose(0, |_| true).unwrap()).collect();
    let light = first.iter().filter(|key| **key >= 100).count();
    assert!((9..=11).contains(&light), "{light} of 30");
}

#[test]
fn a_tenant_that_comes_late_neither_waits_for_the_others_nor_owns_the_time_it_missed() {
    let mut queue = queue(&(0..100).map(|n| ("early", 1, n)).collect::<Vec<_>>());
    for _ in 0..50 {
        queue.choose(0, |_| true);
    }
    for n in 0..50 {
        queue.add(&"late", 1, 1000 + n, None);
    }
    let next: Vec<u32> = (0..10).map(|_| queue.choose(0, |_| true).unwrap()).collect();
    let late = next.iter().filter(|key| **key >= 1000).count();
    assert!((4..=6).contains(&late), "{next:?}");
}

#[test]
fn a_job_without_room_keeps_its_place_and_tries_after_an_end_or_a_second() {
    let mut queue = queue(&[("a", 1, 1)]);
    assert_eq!(queue.choose(5000, |_| true), Some(1));
    queue.add(&"a", 1, 1, Some(Blocked::ByMachine));
    queue.add(&"a", 1, 2, None);
    assert_eq!(queue.ahead(&2), Some(1));
    assert_eq!(queue.choose(5000, |_| true), Some(1), "nobody has tried again within this second");
    queue.add(&"a", 1, 1, Some(Blocked::ByMachine));
    assert_eq!(queue.choose(5500, |_| true), Some(2), "a smaller one may pass it");
    assert_eq!(queue.choose(5500, |_| true), None);
    queue.ended();
    assert_eq!(queue.choose(5500, |_| true), Some(1));
    queue.add(&"a", 1, 1, Some(Blocked::ByMachine));
    for (too_early, time) in [(5999, 6000), (7999, 8000), (11_999, 12_000), (19_999, 20_000), (35_999, 36_000)] {
        assert_eq!(queue.choose(too_early, |_| true), None);
        assert_eq!(queue.choose(time, |_| true), Some(1));
        queue.add(&"a", 1, 1, Some(Blocked::ByMachine));
    }
    assert_eq!(queue.choose(51_999, |_| true), None);
    assert_eq!(queue.choose(52_000, |_| true), Some(1), "the pause grows no further");
}

#[test]
fn after_sixteen_have_passed_a_job_without_room_the_others_wait_for_it() {
    let mut queue = queue(&[("big", 1, 1)]);
    queue.choose(5000, |_| true);
    queue.add(&"big", 1, 1, Some(Blocked::ByMachine));
    // The one try of this second.
    assert_eq!(queue.choose(5000, |_| true), Some(1));
    queue.add(&"big", 1, 1, Some(Blocked::ByMachine));
    for n in 0..30 {
        queue.add(&"small", 1, 100 + n, None);
    }
    let passed = all(&mut queue, 5001);
    assert_eq!(passed.len(), 16, "{passed:?}");
    assert_eq!(queue.choose(7000, |_| true), Some(1));
    assert_eq!(queue.choose(7000, |_| true), Some(116), "the others go on once it is started");
}

#[test]
fn a_tenant_whose_own_jobs_fill_its_ceiling_holds_up_nobody_else() {
    let mut queue = queue(&[("blue", 1, 1)]);
    for time in [5000, 6000] {
        assert_eq!(queue.choose(time, |_| true), Some(1));
        queue.add(&"blue", 1, 1, Some(Blocked::ByTenant));
    }
    for n in 0..40 {
        queue.add(&"blue", 1, 100 + n, None);
        queue.add(&"green", 1, 200 + n, None);
    }
    let passed = all(&mut queue, 6001);
    assert_eq!(passed.iter().filter(|key| **key >= 200).count(), 40, "{passed:?}");
    assert_eq!(
        passed.iter().filter(|key| (100..200).contains(*key)).count(),
        16,
        "within a tenant nobody starves: {passed:?}"
    );
}

#[test]
fn a_tenant_that_may_not_start_a_job_now_keeps_its_turn() {
    let mut queue = queue(&[("blue", 1, 1), ("green", 1, 2)]);
    assert_eq!(queue.choose(0, |tenant| *tenant != "blue"), Some(2));
    assert_eq!(queue.choose(0, |tenant| *tenant != "blue"), None);
    assert_eq!(queue.choose(0, |_| true), Some(1));
}
