//! Holds many handles on files of a granted folder, each of which may have the host keep bytes. A record `way number`
//! names the way and the number of handles; other records are passed on.
use contract::*;

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};

struct Guest;

fn open(folder: &Descriptor, name: &str) -> Descriptor {
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    folder.open_at(PathFlags::empty(), name, OpenFlags::CREATE, flags).expect("a granted folder")
}

fn hold(way: &str, number: u32) {
    let folders = get_directories();
    let (folder, _) = folders.first().expect("a granted folder");
    match way {
        "lists" => drop((0..number).map(|_| folder.read_directory().expect("a folder")).collect::<Vec<_>>()),
        "lists-to-the-end" => (0..number).for_each(|_| {
            let entries = folder.read_directory().expect("a folder");
            while entries.read_directory_entry().expect("an entry").is_some() {}
        }),
        "reads" => {
            let file = open(folder, "large");
            let streams: Vec<_> = (0..number).map(|_| file.read_via_stream(0).expect("a file")).collect();
            for stream in &streams {
                drop(stream.read(1 << 20));
            }
            for stream in &streams {
                stream.subscribe().block();
            }
        }
        "writes" => {
            let file = open(folder, "new");
            let streams: Vec<_> = (0..number).map(|_| file.write_via_stream(0).expect("a file")).collect();
            for stream in &streams {
                let permit = stream.check_write().expect("open");
                stream.write(&vec![7; usize::try_from(permit).expect("small")]).expect("open");
            }
        }
        "waits" => drop((0..number).map(|_| subscribe_duration(0)).collect::<Vec<_>>()),
        _ => {}
    }
}

impl Processor for Guest {
    fn process(batch: Batch) {
        for entry in entries(&batch.payloads) {
            let text = std::str::from_utf8(entry).unwrap_or_default();
            if let Some((way, number)) = text.split_once(' ') {
                hold(way, number.parse().unwrap_or(0));
            }
        }
        output::emit(0, &batch, None);
    }
}

export!(process, Guest);
