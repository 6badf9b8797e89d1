use sage_guest::Emitter;

#[sage_guest::process(ports = ["rejects"])]
fn check(_: &str, _: &mut Emitter) {}

fn main() {}
