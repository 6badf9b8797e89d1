//! Tests of the kernel's real behavior. Each test has a slice of its own, which is removed when the test
//! ends. A test that cannot run here is skipped.

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use sage_test_support::{Need, skip};

use super::super::CpuSet;
use super::*;

pub(super) const FOR_EVER: &str = "while :; do :; done";
/// Doubles a string until memory runs out.
const HOARD: &str = "x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done";

/// The variable with the cgroup version that the machine must have. If it is set, no controller may be
/// missing.
const EXPECTED: &str = "SAGE_HOST_EXPECT_CGROUPS";

/// Control groups with a slice for the test alone, if all needed controllers can be limited.
pub(super) fn cgroups(test: &str, needed: &[Controller]) -> Option<Cgroups> {
    let cgroups = Cgroups::detect(Some(&slice(test)));
    if let Ok(expected) = std::env::var(EXPECTED) {
        assert_eq!(cgroups.composition().to_string(), expected, "{:?}", cgroups.controls());
        for controller in Controller::ALL {
            assert!(cgroups.controls().of(controller).available, "{:?}", cgroups.controls());
        }
    }
    for controller in needed {
        let control = cgroups.controls().of(*controller);
        if !control.available {
            let why = control.why_not.clone().unwrap_or_default();
            skip(Need::Cgroup, format_args!("{} is not available: {why}", control.mechanism));
            return None;
        }
    }
    if cgroups.slices().is_empty() {
        skip(Need::Cgroup, "no cgroup can be used here");
        return None;
    }
    Some(cgroups)
}

pub(super) fn slice(test: &str) -> String {
    format!("sage-host-test-{test}-{}", std::process::id())
}

pub(super) fn memory(mebibytes: u64) -> GroupLimits {
    GroupLimits { memory_max: Some(mebibytes << 20), ..GroupLimits::default() }
}

pub(super) fn start(group: &Group, script: &str) -> Child {
    let entry = group.entry().unwrap();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script]).stdout(Stdio::null()).stderr(Stdio::piped());
    // SAFETY: entering only calls write(2).
    unsafe { shell.pre_exec(move || entry.enter()) };
    shell.spawn().unwrap()
}

pub(super) fn end(mut child: Child) -> ExitStatus {
    child.wait().unwrap()
}

pub(super) fn number(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap()
}

/// The folders with this slice's name in all hierarchies.
pub(super) fn left(test: &str) -> Vec<PathBuf> {
    let hierarchies = mounts::of_this_process(std::path::Path::new("/")).unwrap();
    let branches = hierarchies.into_iter().map(|hierarchy| branch::Branch::new(hierarchy, Some(&slice(test))));
    branches.map(|branch| branch.slice.clone()).filter(|slice| slice.exists()).collect()
}

#[test]
fn detection_says_for_every_controller_that_it_works_or_why_not_and_leaves_nothing() {
    let started = Instant::now();
    let cgroups = Cgroups::detect(Some(&slice("detect")));
    eprintln!("detected {} in {:?}", cgroups.composition(), started.elapsed());
    for controller in Controller::ALL {
        let control = cgroups.controls().of(controller);
        eprintln!("{controller}: {control:?}");
        assert_eq!(control.available, control.why_not.is_none());
        assert!(control.mechanism.starts_with("cgroup"));
    }
    for slice in cgroups.slices() {
        assert!(empty::groups_in(&slice).is_empty(), "the canary has left something in {}", slice.display());
    }
    drop(cgroups);
    assert_eq!(left("detect"), Vec::<PathBuf>::new());
}

#[test]
fn memory_beyond_the_cap_kills_the_one_who_asked_and_the_reading_says_whose_cap_it_was() {
    let Some(cgroups) = cgroups("memory", &[Controller::Memory]) else { return };
    let tenant = cgroups.tenant("t", &memory(512)).unwrap();
    let pipeline = tenant.pipeline("p", &memory(256)).unwrap();
    let neighbour = pipeline.instance("quiet", 0, &memory(32)).unwrap();
    let bystander = start(&neighbour, FOR_EVER);
    let group = pipeline.instance("hoard", 0, &memory(32)).unwrap();
    let watch = group.watch_oom().unwrap();
    assert_eq!(watch.culprit(), None);

    assert_eq!(end(start(&group, HOARD)).signal(), Some(9));

    let reading = group.reading();
    assert_eq!(reading.memory_max, Some(32 << 20));
    assert!(reading.oom_kills.is_some_and(|kills| kills > 0), "{reading:?}");
    assert!(reading.memory_limit_hits.is_none_or(|hits| hits > 0), "{reading:?}");
    if let Some(peak) = reading.memory_peak {
        assert!(((24 << 20)..=(32 << 20)).contains(&peak), "{reading:?}");
    }
    let culprit = watch.culprit().unwrap();
    assert_eq!((culprit.whose, culprit.cap), (WhoseLimit::Level(Level::Instance), Some(32 << 20)));
    assert_eq!(watch.culprit().as_ref(), Some(&culprit), "asking again says the same");
    assert_eq!(neighbour.pids(), [number(&bystander)], "the neighbour lives");
    assert_eq!(neighbour.reading().oom_kills, Some(0));
    drop((group, neighbour, watch));
    assert_eq!(end(bystander).signal(), Some(9));
}

#[test]
fn an_instance_below_its_own_cap_learns_that_its_pipelines_or_its_tenants_was_hit() {
    for (test, tenant, pipeline, level, cap) in
        [("oom-pipeline", 256, 32, Level::Pipeline, 32 << 20), ("oom-tenant", 32, 256, Level::Tenant, 32 << 20)]
    {
        let Some(cgroups) = cgroups(test, &[Controller::Memory]) else { return };
        let tenant = cgroups.tenant("t", &memory(tenant)).unwrap();
        let pipeline = tenant.pipeline("p", &memory(pipeline)).unwrap();
        let group = pipeline.instance("hoard", 0, &memory(128)).unwrap();
        let watch = group.watch_oom().unwrap();
        assert_eq!(end(start(&group, HOARD)).signal(), Some(9));
        let culprit = watch.culprit().unwrap();
        assert_eq!((culprit.whose, culprit.cap), (WhoseLimit::Level(level), Some(cap)), "{culprit:?}");
        assert!(culprit.peak.is_none_or(|peak| peak <= cap), "{culprit:?}");
    }
}

#[test]
fn a_quarter_of_a_cpu_is_a_quarter_of_a_cpu_by_the_childs_own_clock() {
    let Some(cgroups) = cgroups("cpu", &[Controller::Cpu]) else { return };
    if !fs::exists("/proc/self/schedstat").unwrap() {
        return skip(Need::Schedstat, "this kernel does not count the CPU time of a process in nanoseconds");
    }
    let tenant = cgroups.tenant("t", &GroupLimits::default()).unwrap();
    let pipeline = tenant.pipeline("p", &GroupLimits::default()).unwrap();
    let limits = GroupLimits { cpu_quota: Some(2_500), ..GroupLimits::default() };
    let group = pipeline.instance("spin", 0, &limits).unwrap();
    let child = start(&group, FOR_EVER);
    let clock = PathBuf::from(format!("/proc/{}/schedstat", child.id()));
    let ran = || {
        let text = fs::read_to_string(&clock).unwrap();
        Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
    };
    let (from, started) = (ran(), Instant::now());
    std::thread::sleep(Duration::from_secs(2));
    let share = (ran() - from).as_secs_f64() / started.elapsed().as_secs_f64();
    let reading = group.reading();
    eprintln!("used {share:.4} of a CPU; {reading:?}");
    drop(group);
    end(child);
    assert!(share < 0.28, "used {share:.3} of a CPU");
    let (throttled, periods) = (reading.throttled_periods.unwrap(), reading.periods.unwrap());
    if share <= 0.22 && throttled * 10 < periods * 9 {
        return skip(
            Need::Quiet,
            format_args!("others left the process only {share:.3} of a CPU, less than its quota"),
        );
    }
    assert!(share > 0.22, "used {share:.3} of a CPU");
    assert!(throttled > 20, "{reading:?}");
    assert!(reading.throttled_time.is_some_and(|time| time > Duration::from_millis(100)), "{reading:?}");
}

#[test]
fn nobody_forks_beyond_pids_max() {
    let Some(cgroups) = cgroups("pids", &[Controller::Pids]) else { return };
    let tenant = cgroups.tenant("t", &GroupLimits::default()).unwrap();
    let pipeline = tenant.pipeline("p", &GroupLimits::default()).unwrap();
    let limits = GroupLimits { pids_max: Some(4), ..GroupLimits::default() };
    let group = pipeline.instance("fork", 0, &limits).unwrap();
    // A fork bomb in the shell. The processes end because they cannot fork.
    let child = start(&group, "bomb() { bomb | bomb & }; bomb; while :; do (:) ; done");
    let started = Instant::now();
    while group.reading().pids_limit_hits.unwrap_or(0) == 0 {
        assert!(group.pids().len() <= 4);
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", group.reading());
        std::thread::yield_now();
    }
    group.kill().unwrap();
    assert_eq!(group.pids(), Vec::<i32>::new());
    end(child);
}

#[test]
fn a_cpuset_holds_and_one_that_the_group_above_has_not_is_refused() {
    let Some(cgroups) = cgroups("cpuset", &[Controller::Cpuset]) else { return };
    let allowed = CpuSet::allowed().unwrap();
    let one: CpuSet = allowed.iter().take(1).collect();
    let on = |cpus: &CpuSet| GroupLimits { cpus: Some(cpus.clone()), ..GroupLimits::default() };
    let tenant = cgroups.tenant("t", &GroupLimits::default()).unwrap();
    let pipeline = tenant.pipeline("p", &GroupLimits::default()).unwrap();
    let group = pipeline.instance("one", 0, &on(&one)).unwrap();
    let child = start(&group, FOR_EVER);
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let runs = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    assert_eq!(runs.trim(), one.to_string());
    let beyond: CpuSet = [4000].into_iter().collect();
    assert!(pipeline.instance("beyond", 0, &on(&beyond)).is_err());
    assert!(
        !pipeline.held.folders().iter().any(|folder| folder.join("beyond-0").exists()),
        "nothing is left of a refusal"
    );
    drop(group);
    end(child);
}

#[test]
fn dropping_kills_what_is_there_and_leaves_nothing() {
    let Some(cgroups) = cgroups("drop", &[]) else { return };
    let tenant = cgroups.tenant("t", &GroupLimits::default()).unwrap();
    let pipeline = tenant.pipeline("p", &GroupLimits::default()).unwrap();
    let groups: Vec<Group> = (0..3).map(|n| pipeline.instance("w", n, &GroupLimits::default()).unwrap()).collect();
    let children: Vec<Child> = groups.iter().map(|group| start(group, "sleep 1000 & sleep 1000 & wait")).collect();
    assert!(matches!(pipeline.instance("w", 0, &GroupLimits::default()), Err(CgroupError::InUse { .. })));
    // The handles may be dropped in any order: a group stays until the groups in it are removed.
    drop((tenant, pipeline, cgroups));
    for (group, child) in groups.into_iter().zip(&children) {
        assert!(group.pids().contains(&number(child)));
        group.remove().unwrap();
    }
    for child in children {
        assert_eq!(end(child).signal(), Some(9));
    }
    assert_eq!(left("drop"), Vec::<PathBuf>::new());
}

#[test]
fn a_second_run_of_a_pipeline_gets_a_group_of_its_own_and_a_dead_ones_is_swept() {
    let Some(cgroups) = cgroups("sweep", &[]) else { return };
    let none = GroupLimits::default();
    let tenant = cgroups.tenant("t", &none).unwrap();
    let first = tenant.pipeline("p", &none).unwrap();
    let second = tenant.pipeline("p", &none).unwrap();
    assert_eq!((first.path().to_str(), second.path().to_str()), (Some("t/p"), Some("t/p~2")));
    let living = second.instance("w", 0, &none).unwrap();
    let neighbour = start(&living, FOR_EVER);
    let orphan = abandon(first, &none);

    assert_eq!(cgroups.sweep().unwrap(), Swept { groups: 2, processes: 1 });
    assert_eq!(end(orphan).signal(), Some(9));
    assert_eq!(living.pids(), [number(&neighbour)], "what a living supervisor holds stays");

    let again = tenant.pipeline("p", &none).unwrap();
    assert_eq!(again.path().to_str(), Some("t/p"));
    let orphan = abandon(again, &none);
    let taken = tenant.pipeline("p", &none).unwrap();
    assert_eq!(taken.path().to_str(), Some("t/p"), "its name is free as soon as its supervisor is dead");
    assert_eq!(end(orphan).signal(), Some(9));
    assert_eq!(taken.held.folders().iter().flat_map(|folder| empty::groups_in(folder)).count(), 0);
    drop(living);
    end(neighbour);
}

/// Leaves a pipeline's group with a process in it, as a killed supervisor does: the lock is released, the
/// rest stays.
fn abandon(pipeline: Group, limits: &GroupLimits) -> Child {
    let instance = pipeline.instance("w", 0, limits).unwrap();
    let child = start(&instance, FOR_EVER);
    let folder = pipeline.held.folders().remove(0);
    instance.held.forget();
    pipeline.held.forget();
    assert!(folder.join("w-0").exists());
    child
}

#[test]
fn two_detections_at_once_do_not_stand_in_each_others_way() {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                for _ in 0..10 {
                    let cgroups = Cgroups::detect(Some(&slice("together")));
                    let available: Vec<Controller> =
                        Controller::ALL.into_iter().filter(|c| cgroups.controls().of(*c).available).collect();
                    if !available.is_empty() {
                        let tenant = cgroups.tenant("t", &GroupLimits::default()).unwrap();
                        drop(tenant.pipeline("p", &GroupLimits::default()).unwrap());
                    }
                    cgroups.sweep().unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(left("together"), Vec::<PathBuf>::new());
}

#[test]
fn a_limit_that_cannot_be_kept_is_an_error_and_not_left_out() {
    let cgroups = Cgroups::none("this is a test");
    let tenant = cgroups.tenant("t", &GroupLimits::default()).unwrap();
    let error = cgroups.tenant("t", &memory(64)).unwrap_err();
    assert_eq!(error.to_string(), "t cannot be given a limit of memory: this is a test");
    assert_eq!(tenant.reading(), GroupReading::default());
    tenant.entry().unwrap().enter().unwrap();
    assert_eq!(tenant.watch_oom().unwrap().culprit(), None);
}

#[test]
fn one_who_has_almost_no_cpu_time_dies_at_once_and_the_quota_stands_afterwards() {
    let Some(cgroups) = cgroups("quota", &[Controller::Cpu]) else { return };
    let tenant = cgroups.tenant("t", &GroupLimits::default()).unwrap();
    let pipeline = tenant.pipeline("p", &GroupLimits::default()).unwrap();
    // A thousandth of a CPU: a process that is killed just after using it up would pause for most of a
    // second.
    let limits = GroupLimits { cpu_quota: Some(GroupLimits::LEAST_CPU_QUOTA), ..GroupLimits::default() };
    let group = pipeline.instance("slow", 0, &limits).unwrap();
    let quota = || knob::read(&group.held.cpu_quota().unwrap()).unwrap();
    let before = quota();
    for _ in 0..3 {
        let child = start(&group, FOR_EVER);
        group.kill().unwrap();
        assert_eq!(end(child).signal(), Some(9));
        assert_eq!(quota(), before);
    }
}

#[test]
fn every_limit_that_is_there_holds_when_it_is_broken_on_purpose() {
    let Some(cgroups) = cgroups("breach", &[]) else { return };
    for controller in Controller::ALL {
        match cgroups.breach(controller) {
            Ok(breach) => eprintln!("{breach:?}"),
            Err(error) => {
                assert!(!cgroups.controls().of(controller).available, "{error}");
                assert!(matches!(error, CgroupError::NoControl { .. }), "{error}");
            }
        }
    }
    drop(cgroups);
    assert_eq!(left("breach"), Vec::<PathBuf>::new());
}

#[test]
fn a_level_is_made_only_where_it_belongs() {
    let cgroups = Cgroups::none("this is a test");
    let none = GroupLimits::default();
    let tenant = cgroups.tenant("t", &none).unwrap();
    let pipeline = tenant.pipeline("p", &none).unwrap();
    let instance = pipeline.instance("w", 0, &none).unwrap();
    for (outcome, said) in [
        (tenant.instance("w", 0, &none), "no instance has its group in \"t\""),
        (pipeline.pipeline("p", &none), "no pipeline has its group in \"t/p\""),
        (instance.instance("w", 0, &none), "no instance has its group in \"t/p/w-0\""),
    ] {
        assert_eq!(outcome.unwrap_err().to_string(), said);
    }
}
