//! Which file is open: the same one under any name has the same identity. Compares nothing.

use std::{fs::File, io, mem::zeroed, os::windows::io::AsRawHandle};
use windows_sys::Win32::Storage::FileSystem::{BY_HANDLE_FILE_INFORMATION, GetFileInformationByHandle};

/// The volume's number and the file's on it. It stays as long as somebody has the file open.
pub type FileId = (u32, u64);

/// The identity of an open file.
///
/// # Errors
/// What the system says.
pub fn file_id(file: &File) -> io::Result<FileId> {
    // SAFETY: numbers alone, for which zero is a value.
    let mut found: BY_HANDLE_FILE_INFORMATION = unsafe { zeroed() };
    // SAFETY: the handle is open, and `found` is written before the call returns.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle(), &mut found) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((found.dwVolumeSerialNumber, u64::from(found.nFileIndexHigh) << 32 | u64::from(found.nFileIndexLow)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_itself_under_any_name_and_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let [a, b, moved] = ["a", "b", "moved"].map(|name| folder.path().join(name));
        let (first, second) = (File::create(&a).expect("a file"), File::create(&b).expect("a file"));
        let [first_id, second_id] = [&first, &second].map(|file| file_id(file).expect("an identity"));
        assert_ne!(first_id, second_id);
        std::fs::rename(&a, &moved).expect("a new name");
        let again = file_id(&File::open(&moved).expect("the file")).expect("an identity");
        assert_eq!(again, first_id);
    }
}
