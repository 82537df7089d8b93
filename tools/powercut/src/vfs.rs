//! The disk as SQLite wants it: two tables of C functions.

use crate::disk::{Disk, Refused, lock};
use rusqlite::ffi::{self, sqlite3_file, sqlite3_io_methods, sqlite3_vfs};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::size_of;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Longest file name, which SQLite sizes its buffers by.
const LONGEST_NAME: c_int = 512;

/// A VFS that SQLite knows for as long as this lives.
#[derive(Debug)]
pub(crate) struct Registered {
    vfs: *mut sqlite3_vfs,
    name: CString,
    disk: *const Mutex<Disk>,
}

// SAFETY: the pointers are only followed by SQLite, whose use of a VFS is guarded by its own lock, and by `drop`,
// which owns them; what they lead to is behind a `Mutex`.
unsafe impl Send for Registered {}
// SAFETY: as above; a shared reference gives access to the name only.
unsafe impl Sync for Registered {}

impl Registered {
    pub(crate) fn new(disk: Arc<Mutex<Disk>>) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = CString::new(format!("powercut-{number}")).expect("there is no zero byte in it");
        let disk = Arc::into_raw(disk);
        let vfs = Box::into_raw(Box::new(sqlite3_vfs {
            iVersion: 1,
            szOsFile: c_int::try_from(size_of::<Handle>()).expect("a handle is small"),
            mxPathname: LONGEST_NAME,
            pNext: std::ptr::null_mut(),
            zName: name.as_ptr(),
            pAppData: disk.cast_mut().cast(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_name),
            xDlOpen: None,
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: Some(current_time),
            xGetLastError: None,
            xCurrentTimeInt64: None,
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        }));
        // SAFETY: SQLite must be initialised before a VFS is registered, which registering does by itself; the
        // table and the name it points to live until `drop` has unregistered them.
        let code = unsafe { ffi::sqlite3_vfs_register(vfs, 0) };
        assert_eq!(code, ffi::SQLITE_OK, "SQLite takes a new VFS");
        Self { vfs, name, disk }
    }

    pub(crate) fn name(&self) -> &str {
        self.name.to_str().expect("it was made from a str")
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: `vfs` is the table that `new` registered and nobody else frees, and `disk` holds the count that
        // `new` gave away. SQLite uses both while a connection is open, and every open connection has a handle
        // with a count of its own: then they are leaked.
        unsafe {
            ffi::sqlite3_vfs_unregister(self.vfs);
            let disk = Arc::from_raw(self.disk);
            // One count is ours and one is that of the `PowerCut`, which is dropped after this.
            if Arc::strong_count(&disk) <= 2 {
                drop(Box::from_raw(self.vfs));
            } else {
                std::mem::forget(disk);
                std::mem::forget(std::mem::take(&mut self.name));
            }
        }
    }
}

/// An open file. SQLite allocates it and reads its first field.
#[repr(C)]
struct Handle {
    base: sqlite3_file,
    /// A count of the `Arc` that belongs to this handle, until it is closed.
    disk: *const Mutex<Disk>,
    file: usize,
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock_file),
    xUnlock: Some(lock_file),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// The disk of a VFS.
///
/// # Safety
/// `vfs` is a table that [`Registered`] made and has not dropped.
unsafe fn disk_of<'a>(vfs: *mut sqlite3_vfs) -> &'a Mutex<Disk> {
    // SAFETY: `pAppData` came from `Arc::into_raw` of this type, and its count is given back after the table.
    unsafe { &*(*vfs).pAppData.cast_const().cast::<Mutex<Disk>>() }
}

/// The disk and number of an open file.
///
/// # Safety
/// `file` is a handle that [`open`] filled in and [`close`] has not seen.
unsafe fn handle_of<'a>(file: *mut sqlite3_file) -> (&'a Mutex<Disk>, usize) {
    // SAFETY: a handle starts with its `sqlite3_file`, and holds a count of the disk's `Arc`.
    unsafe {
        let handle = &*file.cast::<Handle>();
        (&*handle.disk, handle.file)
    }
}

/// A file name that SQLite handed over.
///
/// # Safety
/// `name` is null or a C string that outlives the call.
unsafe fn name_of(name: *const c_char) -> Option<String> {
    // SAFETY: just that is required of the caller.
    let name = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) });
    name.and_then(|name| name.to_str().ok()).map(str::to_owned)
}

fn code(result: Result<(), Refused>, refused: c_int) -> c_int {
    result.map_or(refused, |()| ffi::SQLITE_OK)
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite hands over its table, a C string or null, `szOsFile` bytes for the handle, and a place for the
    // flags or null. Where opening fails, `pMethods` must be null so that the handle is not closed.
    unsafe {
        (*file).pMethods = std::ptr::null();
        let disk = disk_of(vfs);
        // Temporary files have no name; databases under test keep those in memory.
        let Some(name) = name_of(name) else { return ffi::SQLITE_CANTOPEN };
        let Ok(number) = lock(disk).open(&name, flags & ffi::SQLITE_OPEN_CREATE != 0) else {
            return ffi::SQLITE_CANTOPEN;
        };
        Arc::increment_strong_count(disk);
        file.cast::<Handle>().write(Handle {
            base: sqlite3_file { pMethods: &raw const METHODS },
            disk,
            file: number,
        });
        if !flags_out.is_null() {
            *flags_out = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    // SAFETY: SQLite hands over its table and a C string.
    let (disk, name) = unsafe { (disk_of(vfs), name_of(name)) };
    let mut disk = lock(disk);
    match name {
        Some(name) if disk.exists(&name) => {
            code(disk.delete(&name, sync_folder != 0), ffi::SQLITE_IOERR_DELETE)
        }
        _ => ffi::SQLITE_IOERR_DELETE_NOENT,
    }
}

unsafe extern "C" fn access(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    _flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite hands over its table, a C string and a place for the answer.
    unsafe { *out = name_of(name).is_some_and(|name| lock(disk_of(vfs)).exists(&name)).into() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_name(
    _vfs: *mut sqlite3_vfs,
    name: *const c_char,
    size: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite hands over a C string and `size` bytes for the answer, which is copied with its zero byte
    // only where it fits.
    unsafe {
        let name = CStr::from_ptr(name).to_bytes_with_nul();
        if usize::try_from(size).is_ok_and(|size| name.len() <= size) {
            name.as_ptr().cast::<c_char>().copy_to_nonoverlapping(out, name.len());
            return ffi::SQLITE_OK;
        }
    }
    ffi::SQLITE_CANTOPEN
}

/// Always the same bytes, so that a run can be repeated.
unsafe extern "C" fn randomness(_vfs: *mut sqlite3_vfs, size: c_int, out: *mut c_char) -> c_int {
    let Ok(count) = usize::try_from(size) else { return 0 };
    // SAFETY: SQLite hands over `size` bytes.
    unsafe { out.write_bytes(0x5a, count) };
    size
}

unsafe extern "C" fn sleep(_vfs: *mut sqlite3_vfs, microseconds: c_int) -> c_int {
    microseconds
}

unsafe extern "C" fn current_time(_vfs: *mut sqlite3_vfs, out: *mut f64) -> c_int {
    // SAFETY: SQLite hands over a place for the answer, a Julian day: that of 1970.
    unsafe { *out = 2_440_587.5 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a handle that was opened, once; its count of the disk goes with it.
    unsafe {
        Arc::decrement_strong_count((*file.cast::<Handle>()).disk);
        (*file).pMethods = std::ptr::null();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut sqlite3_file, into: *mut c_void, size: c_int, offset: i64) -> c_int {
    let (Ok(size), Ok(offset)) = (usize::try_from(size), usize::try_from(offset)) else {
        return ffi::SQLITE_IOERR_READ;
    };
    // SAFETY: SQLite hands over an open handle and `size` bytes; they are filled before they become a slice.
    let (disk, file, into) = unsafe {
        into.cast::<u8>().write_bytes(0, size);
        let (disk, file) = handle_of(file);
        (disk, file, slice::from_raw_parts_mut(into.cast::<u8>(), size))
    };
    match lock(disk).read(file, offset, into) {
        Ok(count) if count == size => ffi::SQLITE_OK,
        Ok(_) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(Refused) => ffi::SQLITE_IOERR_READ,
    }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, from: *const c_void, size: c_int, offset: i64) -> c_int {
    let (Ok(size), Ok(offset)) = (usize::try_from(size), usize::try_from(offset)) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    // SAFETY: SQLite hands over an open handle and `size` bytes.
    let (disk, file, data) = unsafe {
        let (disk, file) = handle_of(file);
        (disk, file, slice::from_raw_parts(from.cast::<u8>(), size))
    };
    code(lock(disk).write(file, offset, data), ffi::SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: i64) -> c_int {
    // SAFETY: SQLite hands over an open handle.
    let (disk, file) = unsafe { handle_of(file) };
    let size = usize::try_from(size).map_err(|_| Refused);
    code(size.and_then(|size| lock(disk).truncate(file, size)), ffi::SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: SQLite hands over an open handle.
    let (disk, file) = unsafe { handle_of(file) };
    code(lock(disk).sync(file), ffi::SQLITE_IOERR_FSYNC)
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: SQLite hands over an open handle and a place for the answer.
    let (disk, file) = unsafe { handle_of(file) };
    match lock(disk).size(file).map(i64::try_from) {
        Ok(Ok(size)) => {
            // SAFETY: as above.
            unsafe { *out = size };
            ffi::SQLITE_OK
        }
        _ => ffi::SQLITE_IOERR_FSTAT,
    }
}

unsafe extern "C" fn lock_file(_file: *mut sqlite3_file, _level: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(_file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: SQLite hands over a place for the answer.
    unsafe { *out = 0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_file: *mut sqlite3_file, _op: c_int, _argument: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_file: *mut sqlite3_file) -> c_int {
    512
}

/// As SQLite assumes of disks: a write disturbs nothing but the bytes it writes.
unsafe extern "C" fn characteristics(_file: *mut sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}
