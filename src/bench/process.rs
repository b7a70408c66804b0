//! What the system says about this process: memory and processor time.

use std::fs::read_to_string;
use std::time::Duration;

/// Bytes of this process in main memory (RSS), where the system tells: on Linux.
///
/// **Cost**: reads a file of `/proc`.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// User and system time of this process, where the system tells: on Linux, in steps of 10 ms.
///
/// **Cost**: reads a file of `/proc`.
#[must_use]
pub fn processor_time() -> Option<Duration> {
    let stat = read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold blanks. After it, user and system time are the 12th and 13th field.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    // The kernel tells user programs of 100 ticks a second, whatever it counts in itself.
    Some(Duration::from_millis(10 * (ticks()? + ticks()?)))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn linux_tells_memory_and_time() {
        let block = vec![1u8; 8 << 20];
        assert!(resident_bytes().is_some_and(|bytes| bytes > block.len() as u64));
        assert!(processor_time().is_some());
    }
}
