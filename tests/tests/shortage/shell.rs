use std::process::Command;

use sage_tests::{Outcome, Scenario};

/// Runs a scenario's pipeline from a shell script, in which `"$@"` is the program with its arguments. If
/// `wrapper` is not empty, that program starts the shell.
pub(crate) fn run_in_shell(scenario: &Scenario, wrapper: &[&str], script: &str, arguments: &[&str]) -> Outcome {
    let run = scenario.command("run");
    let mut command = match wrapper {
        [program, rest @ ..] => {
            let mut command = Command::new(program);
            command.args(rest).arg("bash");
            command
        }
        [] => Command::new("bash"),
    };
    command.args(["-c", script, "sh"]);
    if wrapper.is_empty() {
        command.arg(run.get_program());
    } else {
        // Another user may not reach the build folder, so the program is copied. Another process makes the
        // copy, because a file that this process has open for writing cannot be executed.
        let copy = scenario.path().join("sage-host");
        assert!(Command::new("cp").arg(run.get_program()).arg(&copy).status().unwrap().success());
        command.arg(copy);
    }
    // An option in `arguments` replaces the option of the same name.
    let mut before = run.get_args();
    while let Some(word) = before.next() {
        if arguments.iter().any(|argument| word == *argument) {
            before.next();
        } else {
            command.arg(word);
        }
    }
    command.args(["--output", "json"]).args(arguments).current_dir(scenario.path());
    for (name, value) in run.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    scenario.run_command(&mut command)
}

/// Writes a pipeline with one operator between a file and a sink; `more` are settings of the operator.
pub(crate) fn pipeline(scenario: &Scenario, guest: &str, more: &str, sink: &str) {
    scenario.file("guest.wasm", std::fs::read(sage_tests::guest(guest)).unwrap());
    scenario.pipeline(&format!(
        r#"
        [[source]]
        name = "in"
        file = {{ path = "in.txt", format = "lines" }}
        [[operator]]
        name = "guest"
        component = "guest.wasm"
        input = "in"
        {more}
        [[sink]]
        name = "out"
        input = "guest"
        {sink}
        "#
    ));
}

/// Lines that no compressor makes much smaller.
pub(crate) fn noise(lines: u64) -> String {
    let mut seed = 1_u64;
    let mut word = || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
    };
    (0..lines).map(|_| format!("{:016x}{:016x}{:016x}\n", word(), word(), word())).collect()
}
