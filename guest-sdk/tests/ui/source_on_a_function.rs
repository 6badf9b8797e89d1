use sage_guest::{Emitter, Progress};

#[sage_guest::source]
fn none(_: &mut Emitter) -> Progress {
    Progress::End
}

fn main() {}
