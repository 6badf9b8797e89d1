use std::fs;

use sage_jobs::{JobOutcome, OrderFolder};

use super::scene::{Scene, bounded};

#[test]
fn a_tenants_job_reads_and_writes_in_its_data_folder_and_in_granted_ones_only() {
    let mut scene = Scene::new("");
    scene.tenant = Some("blue");
    fs::create_dir_all(scene.path("data/in")).unwrap();
    fs::create_dir(scene.path("shared")).unwrap();
    fs::write(scene.path("data/in.txt"), "mine\n").unwrap();
    fs::write(scene.path("shared/in.txt"), "shared\n").unwrap();
    fs::write(scene.path("secret.txt"), "secret\n").unwrap();
    scene.folders = vec![OrderFolder { path: scene.path("shared"), write: false }];
    let (secret, shared) = (scene.path("secret.txt"), scene.path("shared"));
    let (secret, shared) = (secret.to_str().unwrap(), shared.to_str().unwrap());
    let into = |path: &str| format!("\"{shared}/{path}\"");
    let cases = [
        ("\"in.txt\"", "\"out.txt\"", Ok("mine\n")),
        (into("in.txt").as_str(), "\"out.txt\"", Ok("shared\n")),
        ("\"../secret.txt\"", "\"out.txt\"", Err("outside of the tenant's folders")),
        (&format!("\"{secret}\""), "\"out.txt\"", Err("outside of the tenant's folders")),
        (&format!("\"{shared}/../secret.txt\""), "\"out.txt\"", Err("outside of the tenant's folders")),
        ("\"in.txt\"", "\"../out.txt\"", Err("outside of the tenant's folders")),
        ("\"in.txt\"", into("out.txt").as_str(), Err("a folder that may only be read")),
        ("\"/etc/does-not-exist\"", "\"out.txt\"", Err("outside of the tenant's folders")),
    ]
    .map(|(from, to, outcome)| (from.to_owned(), to.to_owned(), outcome));
    for (from, to, expected) in cases {
        let text = bounded("map_logs").replace("\"in.txt\"", &from).replace("\"out.txt\"", &to);
        fs::write(scene.folder.revision(1).join("pipeline.toml"), text).unwrap();
        let _ = fs::remove_file(scene.path("data/out.txt"));
        let end = scene.run();
        match expected {
            Ok(text) => {
                assert_eq!(end.outcome, JobOutcome::Completed, "{from} {to}: {:?}", end.error);
                assert_eq!(scene.read("out.txt").as_deref(), Some(text));
            }
            Err(why) => {
                assert_eq!(end.outcome, JobOutcome::Invalid, "{from} {to}");
                let error = end.error.unwrap().to_string();
                assert!(error.contains(why) && error.contains("\"line\":"), "{error}");
                assert!(!error.contains("No such file"), "a forbidden path is not looked at: {error}");
            }
        }
    }
}

#[test]
fn components_of_a_tenant_are_those_that_came_with_the_pipeline() {
    let text = bounded("map_logs");
    let mut scene = Scene::new(&text.replace("map_logs.wasm", "other.wasm"));
    scene.tenant = Some("blue");
    scene.data("in.txt", "a\n");
    let end = scene.run();
    assert_eq!(end.outcome, JobOutcome::Invalid);
    let error = end.error.unwrap().to_string();
    assert!(error.contains("which did not come with the pipeline file"), "{error}");
}
