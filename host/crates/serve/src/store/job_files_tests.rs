use std::collections::BTreeMap;

use sage_jobs::{AliveLock, JobEnd, JobIsolation, JobOrder, JobOutcome, VERSION};

use super::*;
use crate::state::{Outcome, RestartPolicy, State};
use crate::store::Digest;

struct Place {
    _root: tempfile::TempDir,
    state: StateFolder,
    jobs: JobFiles,
}

fn place() -> Place {
    let root = tempfile::tempdir().unwrap();
    let state = StateFolder::open(root.path()).unwrap();
    let files = FileStore::open(&state).unwrap();
    let mut upload = files.receive(Digest::of(b"component"), 100).unwrap();
    upload.write(b"component").unwrap();
    upload.finish().unwrap();
    let jobs = JobFiles::new(&state, &files);
    Place { _root: root, state, jobs }
}

fn new_job(component: &[u8]) -> NewJob {
    let spec = JobSpec {
        version: VERSION,
        id: JobId::random().unwrap(),
        name: "celsius".parse().unwrap(),
        tenant: None,
        created: 5,
        revision: 1,
        shown_as: Some("/home/a/pipeline.toml".into()),
        data: "/home/a".into(),
        files: [("../a/../celsius.wasm".to_owned(), Digest::of(component))].into(),
        isolation: JobIsolation::Thread,
        labels: BTreeMap::new(),
        idempotency: None,
    };
    let job = Job::submitted(RestartPolicy::default(), 30_000, 5);
    let revision = Revision::of(&spec, b"[pipeline]", "pipeline".to_owned(), Some("user:0".to_owned()), None);
    NewJob { spec, job, pipeline: b"[pipeline]".to_vec(), revision }
}

/// The order of an attempt, as the server writes it.
fn write_order(place: &Place, spec: &JobSpec, attempt: u32) {
    let folder = place.jobs.folder(spec.id);
    let order = JobOrder {
        version: VERSION,
        id: spec.id.to_string(),
        name: spec.name.to_string(),
        tenant: None,
        revision: 1,
        attempt,
        pipeline: place.jobs.pipeline(spec.id, 1),
        shown_as: spec.shown_as.clone(),
        files: place.jobs.came_with(spec),
        data: spec.data.clone(),
        host_file: None,
        isolation: JobIsolation::Thread,
        drain_timeout: std::time::Duration::from_secs(30),
        socket: "/s".into(),
        folders: Vec::new(),
        connect: Vec::new(),
        models: None,
        signers: None,
        secrets: std::collections::BTreeMap::new(),
        user: None,
        cache: None,
        hard_limits: false,
    };
    write_json(&folder.order(), &order).unwrap();
}

#[test]
fn a_job_is_found_as_it_was_made_and_no_name_of_its_user_became_a_path() {
    let place = place();
    let new = new_job(b"component");
    place.jobs.create(&new).unwrap();
    let found = place.jobs.find_all().unwrap();
    assert_eq!((&found[0].spec, &found[0].job, found[0].rebuilt), (&new.spec, &new.job, None));
    let link = &place.jobs.came_with(&new.spec)["../a/../celsius.wasm"];
    assert_eq!(fs::read(link).unwrap(), b"component");
    assert!(link.starts_with(place.jobs.folder(new.spec.id).path()));
    place.jobs.remove(new.spec.id).unwrap();
    assert_eq!(place.jobs.find_all().unwrap().len(), 0);
    assert_eq!(entries(&place.state.jobs()).unwrap().len(), 0);
}

#[test]
fn a_job_whose_file_is_not_here_is_not_made_at_all() {
    let place = place();
    let error = place.jobs.create(&new_job(b"other")).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    assert_eq!(entries(&place.state.jobs()).unwrap().len(), 0);
}

#[test]
fn what_a_killed_server_was_making_or_removing_is_removed() {
    let place = place();
    for end in [MAKING, REMOVING] {
        fs::create_dir(place.state.jobs().join(format!("{}{end}", JobId::random().unwrap()))).unwrap();
    }
    assert_eq!(place.jobs.find_all().unwrap().len(), 0);
    assert_eq!(entries(&place.state.jobs()).unwrap().len(), 0);
}

#[test]
fn a_corrupt_specification_is_made_anew_from_the_order() {
    let place = place();
    let new = new_job(b"component");
    place.jobs.create(&new).unwrap();
    write_order(&place, &new.spec, 1);
    let path = place.jobs.folder(new.spec.id).path().join("spec.json");
    fs::write(&path, "{\"version\":").unwrap();
    let found = place.jobs.find_all().unwrap().remove(0);
    assert_eq!(found.rebuilt, Some("spec.json"));
    assert_eq!(found.spec, JobSpec { created: found.spec.created, ..new.spec });
    assert_eq!(place.jobs.find_all().unwrap()[0].rebuilt, None, "it is on disk again");
}

#[test]
fn a_corrupt_state_is_made_anew_from_the_lock_and_the_end_and_starts_nothing() {
    let place = place();
    let ends = [
        (None, State::Ended { outcome: Outcome::Failed, exit_code: 1 }),
        (Some((3, JobOutcome::Completed)), State::Ended { outcome: Outcome::Completed, exit_code: 0 }),
        (Some((2, JobOutcome::Completed)), State::Ended { outcome: Outcome::Failed, exit_code: 1 }),
    ];
    for (end, state) in ends {
        let new = new_job(b"component");
        place.jobs.create(&new).unwrap();
        write_order(&place, &new.spec, 3);
        let folder = place.jobs.folder(new.spec.id);
        if let Some((attempt, outcome)) = end {
            let (version, id) = (VERSION, new.spec.id.to_string());
            let end = JobEnd { version, id, attempt, at: 0, outcome, exit_code: 0, summary: None, error: None };
            write_json(&folder.end(), &end).unwrap();
        }
        fs::write(folder.path().join("state.json"), "").unwrap();
        let found = place.jobs.find_all().unwrap().remove(0);
        assert_eq!((found.rebuilt, found.job.state, found.job.attempt), (Some("state.json"), state, 3));

        let lock = AliveLock::take(&folder.alive_lock()).unwrap();
        fs::write(folder.path().join("state.json"), "").unwrap();
        assert_eq!(place.jobs.find_all().unwrap().remove(0).job.state, State::Running);
        drop(lock);
        place.jobs.remove(new.spec.id).unwrap();
    }
}

#[test]
fn a_folder_of_which_nothing_can_be_read_is_moved_aside() {
    let place = place();
    let id = JobId::random().unwrap();
    fs::create_dir(place.state.jobs().join(id.to_string())).unwrap();
    assert_eq!(place.jobs.find_all().unwrap().len(), 0);
    assert!(place.state.unreadable().join(id.to_string()).is_dir());
}

#[test]
fn revisions_are_whole_or_not_there_and_the_state_says_which_is_in_force() {
    let place = place();
    let new = new_job(b"component");
    let id = new.spec.id;
    place.jobs.create(&new).unwrap();
    let number = place.jobs.next_revision(id, &[1]).unwrap();
    let second = Revision { number, data: "/home/b".into(), pipeline: Digest::of(b"two"), ..new.revision.clone() };
    let absent = Revision { files: [("x.wasm".to_owned(), Digest::of(b"absent"))].into(), ..second.clone() };
    let missing = place.jobs.add_revision(&new.spec, &absent, b"two").unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }), "{missing}");
    assert_eq!(place.jobs.revisions(id).unwrap(), std::slice::from_ref(&new.revision));
    // A server that ended before the last write.
    fs::create_dir_all(place.jobs.folder(id).revision(number)).unwrap();
    place.jobs.add_revision(&new.spec, &second, b"two").unwrap();
    assert_eq!(place.jobs.revisions(id).unwrap(), [new.revision.clone(), second]);
    assert_eq!(place.jobs.pipeline_text(id, 2).unwrap(), "two");
    place.jobs.save(id, &Job { revision: 2, ..new.job.clone() }).unwrap();
    let found = place.jobs.find_all().unwrap().remove(0);
    assert_eq!((found.spec.revision, found.spec.data.as_path()), (2, Path::new("/home/b")));
    fs::remove_file(place.jobs.revision_file(id, 1)).unwrap();
    let of_earlier_server = place.jobs.revision(id, 1).unwrap();
    assert_eq!(of_earlier_server, Revision { who: None, ..new.revision });
}

#[test]
fn the_oldest_revisions_go_except_those_in_use() {
    let place = place();
    let new = new_job(b"component");
    place.jobs.create(&new).unwrap();
    for _ in 1..JobFiles::MOST_REVISIONS + 3 {
        let number = place.jobs.next_revision(new.spec.id, &[1, 3]).unwrap();
        let revision = Revision { number, ..new.revision.clone() };
        place.jobs.add_revision(&new.spec, &revision, b"[pipeline]").unwrap();
    }
    let kept: Vec<u32> = place.jobs.revisions(new.spec.id).unwrap().iter().map(|revision| revision.number).collect();
    assert_eq!(kept.len(), JobFiles::MOST_REVISIONS);
    assert_eq!(kept[..3], [1, 3, 6]);
}
