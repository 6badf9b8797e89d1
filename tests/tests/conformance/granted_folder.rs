//! Files in a granted folder that lead elsewhere or block.

use sage_tests::guest;
use sage_tests::poison::beside_a_neighbour;

#[test]
fn a_link_in_a_granted_folder_does_not_lead_out_of_it() {
    let folder = "capabilities = { folders = [{ host = \"data\", guest = \"/data\", write = true }] }";
    let scenario = beside_a_neighbour(&guest("map_looks_around"), folder);
    scenario.file("secret.txt", "secret");
    scenario.file("data/note.txt", "a note");
    std::os::unix::fs::symlink("../secret.txt", scenario.path().join("data/leak.txt")).unwrap();
    std::os::unix::fs::symlink("/", scenario.path().join("data/root")).unwrap();
    scenario.file("in.txt", "read /data/note.txt\nread /data/leak.txt\nlist /data/root\nwrite /data/leak.txt\n");
    scenario.run().expect_exit(0);
    assert_eq!(
        scenario.lines("out.txt"),
        ["read /data/note.txt: a note", "read /data/leak.txt: no", "list /data/root: no", "write /data/leak.txt: no"]
    );
    assert_eq!(scenario.read("secret.txt").as_deref(), Some("secret"));
}

#[test]
fn what_is_no_file_in_a_granted_folder_blocks_nobody() {
    let folder = "capabilities = { folders = [{ host = \"data\", guest = \"/data\", write = true }] }";
    let limits = "limits = { call_timeout = \"60s\" }";
    let scenario = beside_a_neighbour(&guest("map_looks_around"), &format!("{folder}\n{limits}"));
    scenario.file("data/note.txt", "a note");
    // Opening the pipe would block for ever, because it has no writer.
    let pipe = std::process::Command::new("mkfifo").arg(scenario.path().join("data/pipe")).status().unwrap();
    assert!(pipe.success());
    std::os::unix::fs::symlink("pipe", scenario.path().join("data/way")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(scenario.path().join("data/socket")).unwrap();
    let names = ["pipe", "way", "socket"];
    let requests = names.map(|name| format!("read /data/{name}\nwrite /data/{name}\n")).concat();
    scenario.file("in.txt", format!("{requests}read /data/note.txt\nwrite /data/new.txt\n"));
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    let mut expected: Vec<String> =
        names.iter().flat_map(|name| [format!("read /data/{name}: no"), format!("write /data/{name}: no")]).collect();
    expected.extend(["read /data/note.txt: a note".to_owned(), "write /data/new.txt: yes".to_owned()]);
    assert_eq!(scenario.lines("out.txt"), expected);
    assert_eq!(outcome.stage("guest").count("restarts"), 0, "nothing had to be ended for it\n{outcome:?}");
}

#[test]
fn a_folder_of_many_files_is_listed_whole() {
    let folder = "capabilities = { folders = [{ host = \"data\", guest = \"/data\" }] }";
    let scenario = beside_a_neighbour(&guest("map_looks_around"), folder);
    for number in 0..3_000 {
        scenario.file(&format!("data/a-file-with-a-long-name-{number}"), "");
    }
    std::fs::create_dir(scenario.path().join("data/empty")).unwrap();
    scenario.file("in.txt", "list /data\nlist /data/empty\nlist /data/a-file-with-a-long-name-7\n");
    scenario.run().expect_exit(0);
    assert_eq!(
        scenario.lines("out.txt"),
        ["list /data: 3001", "list /data/empty: 0", "list /data/a-file-with-a-long-name-7: no"]
    );
}
