//! Who may use a file: created with an access list, and asked for it. Lists are SDDL text (Microsoft's "Security Descriptor
//! String Format"), so that they are read and decided on in safe code.

use crate::wide;
use std::{
    ffi::c_void,
    fs::File,
    io,
    os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle},
    path::Path,
    ptr::null_mut,
};
use windows_sys::{
    Win32::{
        Foundation::{ERROR_SUCCESS, GENERIC_WRITE, HANDLE, INVALID_HANDLE_VALUE, LocalFree},
        Globalization::lstrlenW,
        Security::{
            Authorization::{
                ConvertSecurityDescriptorToStringSecurityDescriptorW, ConvertSidToStringSidW,
                ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1, SE_FILE_OBJECT,
            },
            DACL_SECURITY_INFORMATION, GetTokenInformation, PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER,
            TokenUser,
        },
        Storage::FileSystem::{
            CREATE_NEW, CreateDirectoryW, CreateFileW, FILE_ATTRIBUTE_NORMAL, FILE_SHARE_DELETE, FILE_SHARE_READ,
            FILE_SHARE_WRITE,
        },
        System::Threading::{GetCurrentProcess, OpenProcessToken},
    },
    core::PWSTR,
};

/// Memory that Windows has allocated for the caller.
struct Local(*mut c_void);

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: every value of this type holds what a call has returned to be freed so, and frees it once.
        unsafe { LocalFree(self.0) };
    }
}

impl Local {
    /// The text that it holds.
    ///
    /// # Safety
    /// It must point to UTF-16 that ends with a zero.
    unsafe fn text(&self) -> String {
        let start: *const u16 = self.0.cast_const().cast();
        // SAFETY: the caller says that a zero follows, after which nothing is read.
        let length = unsafe { lstrlenW(start) };
        // SAFETY: so many units have just been read there, and the memory lives as long as `self`.
        let units = unsafe { std::slice::from_raw_parts(start, usize::try_from(length).unwrap_or(0)) };
        String::from_utf16_lossy(units)
    }
}

/// An access list as calls want it.
struct Attributes {
    descriptor: Local,
}

impl Attributes {
    fn parse(sddl: &str) -> io::Result<Self> {
        let text = wide(sddl.as_ref())?;
        let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
        // SAFETY: `text` ends with a zero, `descriptor` is written before the call returns, and its size may be left out.
        let done = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(text.as_ptr(), SDDL_REVISION_1, &mut descriptor, null_mut())
        };
        if done == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { descriptor: Local(descriptor) })
    }

    /// Valid as long as `self`.
    fn as_raw(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(u32::MAX),
            lpSecurityDescriptor: self.descriptor.0,
            bInheritHandle: 0,
        }
    }
}

/// A path as calls want it. One of more than 247 units is only taken in the form that no call looks into.
fn name_of(path: &Path) -> io::Result<Vec<u16>> {
    const SHORT: usize = 248;
    let name = wide(std::path::absolute(path)?.as_os_str())?;
    let starts = |with: &str| with.encode_utf16().eq(name.iter().copied().take(with.len()));
    if name.len() <= SHORT || starts(r"\\?\") || starts(r"\\.\") {
        return Ok(name);
    }
    // A share's path keeps one of its two slashes.
    let (form, rest) = if starts(r"\\") { (r"\\?\UNC", 1) } else { (r"\\?\", 0) };
    Ok(form.encode_utf16().chain(name.into_iter().skip(rest)).collect())
}

/// The user of this process, as a SID: `S-1-5-21-…`.
///
/// # Errors
/// What the system says.
pub fn own_sid() -> io::Result<String> {
    // SAFETY: the handle of the process is a constant that is always valid.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: it is valid.
    unsafe { sid_of(process) }
}

/// The user that a process runs as.
///
/// # Safety
/// The handle must be one of a process, and open.
pub(crate) unsafe fn sid_of(process: HANDLE) -> io::Result<String> {
    let mut token: HANDLE = null_mut();
    // SAFETY: the caller says that the handle is open; `token` is written before the call returns.
    if unsafe { OpenProcessToken(process, TOKEN_QUERY, &mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just opened it for us alone.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    // A TOKEN_USER and the SID after it, which has at most 68 bytes; as u64, so that it is aligned.
    let mut user = [0u64; 16];
    let mut length = 0;
    // SAFETY: the space is as long as the call is given.
    let told = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenUser,
            user.as_mut_ptr().cast(),
            u32::try_from(size_of_val(&user)).unwrap_or(0),
            &mut length,
        )
    };
    if told == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has written a TOKEN_USER there, and the array is aligned for its pointer.
    let sid = unsafe { (*user.as_ptr().cast::<TOKEN_USER>()).User.Sid };
    let mut text: PWSTR = null_mut();
    // SAFETY: the SID points into `user`, which lives; `text` is written before the call returns.
    if unsafe { ConvertSidToStringSidW(sid, &mut text) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let text = Local(text.cast());
    // SAFETY: a string that the call has made.
    Ok(unsafe { text.text() })
}

/// Makes a folder with this access list. The one around it must exist.
///
/// # Errors
/// What the system says, `AlreadyExists` among it; an access list that is none.
pub fn create_dir(path: &Path, sddl: &str) -> io::Result<()> {
    let (name, attributes) = (name_of(path)?, Attributes::parse(sddl)?);
    // SAFETY: `name` ends with a zero; the attributes live until the call returns.
    match unsafe { CreateDirectoryW(name.as_ptr(), &attributes.as_raw()) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Makes a new file for writing with this access list.
///
/// # Errors
/// What the system says, `AlreadyExists` among it; an access list that is none.
pub fn create_file(path: &Path, sddl: &str) -> io::Result<File> {
    let (name, attributes) = (name_of(path)?, Attributes::parse(sddl)?);
    // As the standard library shares its files.
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    // SAFETY: `name` ends with a zero; the attributes live until the call returns; a template may be left out.
    let file = unsafe {
        CreateFileW(name.as_ptr(), GENERIC_WRITE, share, &attributes.as_raw(), CREATE_NEW, FILE_ATTRIBUTE_NORMAL, null_mut())
    };
    if file == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just opened it for us alone.
    Ok(unsafe { File::from_raw_handle(file) })
}

/// The access list of an open file, as `D:…`.
///
/// # Errors
/// What the system says.
pub fn access_list(file: &File) -> io::Result<String> {
    let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
    // SAFETY: the handle is open; only the descriptor is asked for, and is written before the call returns.
    let error = unsafe {
        GetSecurityInfo(
            file.as_raw_handle(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION,
            null_mut(),
            null_mut(),
            null_mut(),
            null_mut(),
            &mut descriptor,
        )
    };
    if error != ERROR_SUCCESS {
        return Err(io::Error::from_raw_os_error(error.cast_signed()));
    }
    let descriptor = Local(descriptor);
    let mut text: PWSTR = null_mut();
    // SAFETY: the descriptor lives; `text` is written before the call returns, and its length may be left out.
    let told = unsafe {
        ConvertSecurityDescriptorToStringSecurityDescriptorW(
            descriptor.0,
            SDDL_REVISION_1,
            DACL_SECURITY_INFORMATION,
            &mut text,
            null_mut(),
        )
    };
    if told == 0 {
        return Err(io::Error::last_os_error());
    }
    let text = Local(text.cast());
    // SAFETY: a string that the call has made.
    Ok(unsafe { text.text() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_list_it_was_made_with() {
        let folder = tempfile::tempdir().expect("a folder");
        let sid = own_sid().expect("a user");
        assert!(sid.starts_with("S-1-5-"), "{sid}");
        let inner = folder.path().join("Jörg’s");
        let private = |flags| format!("D:P(A;{flags};FA;;;SY)(A;{flags};FA;;;{sid})");
        create_dir(&inner, &private("OICI")).expect("a folder of its own");
        let again = create_dir(&inner, &private("OICI")).expect_err("it is there");
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        let path = inner.join("token");
        let file = create_file(&path, &private("")).expect("a file");
        let list = access_list(&file).expect("its list");
        // Wine keeps what Unix' permissions can say, and has no word for "everyone" in it then.
        assert!(list.starts_with("D:") && list.contains(";;;SY)") && !list.contains(";;;WD)"), "{list}");
        let deep = (0..6).try_fold(inner.clone(), |around, n| {
            let within = around.join(format!("{n}{}", "deep".repeat(12)));
            create_dir(&within, &private("OICI")).map(|()| within)
        });
        let deep = deep.expect("a path of more than 260 units");
        create_file(&deep.join("file"), &private("")).expect("a file down there");
        assert!(deep.join("file").exists());
        let odd = create_file(&inner.join("odd"), "nonsense").map(drop);
        assert!(odd.is_err() && !inner.join("odd").exists(), "{odd:?}");
    }
}
