use std::fmt::Debug;
use std::io;
use std::path::PathBuf;

/// The operations of the store on its folder. Tests have a disk that loses and tears what was not synced.
pub(crate) trait Disk: Debug + Send + Sync {
    /// The names in the folder.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Opens a file to read and write.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Makes an empty file.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file the name of another one, which it replaces.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the names in the folder durable.
    fn sync_names(&self) -> io::Result<()>;
    /// The path of a name, for messages; that of the folder if the name is empty.
    fn path(&self, name: &str) -> PathBuf;
    /// A number that no guest can guess.
    fn random(&self) -> u64;
    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;
}

/// A file of the folder.
pub(crate) trait DiskFile: Debug + Send {
    /// Length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Reads up to a buffer of bytes. Fewer bytes are read at the end of the file only.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
    /// Writes all these bytes.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Cuts the file.
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// Makes the content and the length durable.
    fn sync(&self) -> io::Result<()>;
}
