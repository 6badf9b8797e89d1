use std::path::PathBuf;

/// The folder that a variable of the environment names. A relative path counts as none, as the XDG specification says.
pub(super) fn absolute(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
