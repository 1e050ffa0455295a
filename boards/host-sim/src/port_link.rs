//! A symbolic link that names the port.

use std::path::PathBuf;

use anyhow::Context;

/// A symbolic link to the port, removed when dropped unless it points elsewhere by then.
#[derive(Debug, Clone)]
pub struct PortLink {
    /// Where the link is.
    link: PathBuf,
    /// What it points to.
    port: PathBuf,
}

impl PortLink {
    /// A link which is still to be created.
    pub fn new(link: PathBuf, port: PathBuf) -> Self {
        Self { link, port }
    }

    /// Creates the link, in place of another symbolic link but of nothing else.
    pub fn create(&self) -> anyhow::Result<()> {
        let link = &self.link;
        if link.is_symlink() {
            std::fs::remove_file(link).with_context(|| format!("replacing the link {link:?}"))?;
        }
        std::os::unix::fs::symlink(&self.port, link)
            .with_context(|| format!("linking {link:?} to the port"))
    }

    /// Removes the link if it is still this one.
    pub fn remove(&self) {
        if self.link.read_link().is_ok_and(|port| port == self.port) {
            let _gone_already = std::fs::remove_file(&self.link);
        }
    }
}

impl Drop for PortLink {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn only_its_own_link_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("node");
        let first = PortLink::new(link.clone(), "/dev/pts/a".into());
        first.create().unwrap();
        let second = PortLink::new(link.clone(), "/dev/pts/b".into());
        second.create().unwrap();
        drop(first);
        assert_eq!(link.read_link().unwrap(), Path::new("/dev/pts/b"));
        drop(second);
        assert!(!link.is_symlink());
    }

    #[test]
    fn a_file_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("notes.txt");
        std::fs::write(&link, "important").unwrap();
        let port_link = PortLink::new(link.clone(), "/dev/pts/a".into());
        let error = port_link.create().unwrap_err();
        assert!(format!("{error:#}").contains("notes.txt"), "{error:#}");
        drop(port_link);
        assert_eq!(std::fs::read_to_string(&link).unwrap(), "important");
    }
}
