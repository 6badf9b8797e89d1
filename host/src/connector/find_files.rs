use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::ConnectorError;

/// The files that a path or a pattern names, sorted; at least one. A file of exactly that name wins over the pattern.
pub(super) fn find_files(path: &Path) -> Result<Vec<PathBuf>, ConnectorError> {
    if path.exists() {
        return Ok(vec![path.to_owned()]);
    }
    let shown = path.display();
    let Some(pattern) = path.to_str().filter(|text| text.contains(['*', '?', '['])) else {
        return Err(ConnectorError::new(format!("\"{shown}\" does not exist"))
            .hint("relative paths are resolved against the pipeline file's folder"));
    };
    let matches = glob::glob(pattern)
        .map_err(|error| ConnectorError::new(format!("\"{shown}\" is not a pattern: {}", error.msg)))?;
    let mut found = Vec::new();
    for path in matches {
        let path = path.map_err(|error| {
            let what = format!("cannot look for files in \"{}\"", error.path().display());
            ConnectorError::caused(what, error.into())
        })?;
        if !path.is_dir() {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(ConnectorError::new(format!("no file matches \"{shown}\""))
            .hint("relative patterns are resolved against the pipeline file's folder"));
    }
    found.sort();
    Ok(found)
}

/// What places call each file: its name, or its whole path where two have the same name.
pub(super) fn short_names(paths: &[PathBuf]) -> Vec<String> {
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut seen = HashMap::new();
    for path in paths {
        *seen.entry(name(path)).or_insert(0) += 1;
    }
    let unique = |path| name(path).filter(|name| seen.get(&Some(name.clone())) == Some(&1));
    paths.iter().map(|path| unique(path).unwrap_or_else(|| path.display().to_string())).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_pattern_finds_files_in_order_and_no_folders() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b/x.csv", "a/x.csv", "a/10.csv", "a/9.csv", "a/dir.csv/y"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = find_files(&folder.path().join("**/*.csv")).unwrap();
        let relative: Vec<_> = found.iter().map(|p| p.strip_prefix(folder.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(relative, ["a/10.csv", "a/9.csv", "a/x.csv", "b/x.csv"]);
        let full = |name: &str| folder.path().join(name).display().to_string();
        assert_eq!(short_names(&found), ["10.csv".to_owned(), "9.csv".to_owned(), full("a/x.csv"), full("b/x.csv")]);
    }

    #[test]
    fn a_file_whose_name_looks_like_a_pattern_is_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a[1].csv");
        fs::write(&path, "").unwrap();
        assert_eq!(find_files(&path).unwrap(), [path]);
    }
}
