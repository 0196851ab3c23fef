import Glibc
import SystemPackage

/// The environment, read here and nowhere else.
enum Environment {
  static subscript(name: String) -> String? {
    guard let value = unsafe getenv(name) else { return nil }
    let text = unsafe String(cString: value)
    return text.isEmpty ? nil : text
  }

  /// Processors that are running.
  static var processorCount: Int {
    max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
  }

  /// Of the whole machine.
  static var memoryBytes: Int {
    max(1, sysconf(Int32(_SC_PHYS_PAGES))) * max(1, sysconf(Int32(_SC_PAGESIZE)))
  }

  /// The most memory this program has held, in bytes. getrusage would count what the program that started us held.
  static var peakResidentBytes: Int {
    if let line = text(of: "/proc/self/status")?.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
      let kibibytes = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap({ Int($0) })
    {
      return kibibytes * 1024
    }
    var usage = rusage()
    unsafe _ = getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
  }
}

extension Environment {
  /// What a program may still take: what the system has available, within the limits of our control groups. Nil where
  /// the system does not say.
  static var availableMemoryBytes: Int? {
    guard let line = text(of: "/proc/meminfo")?.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }),
      let kibibytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { return nil }
    return ([kibibytes * 1024] + groupLimits()).min()
  }

  /// What each control group above this process leaves of its limit, in version 2's hierarchy and in version 1's. A file
  /// that was read and not used since is no loss: the system gives its memory back.
  private static func groupLimits() -> [Int] {
    let lines =
      text(of: "/proc/self/cgroup")?.split(separator: "\n").map {
        $0.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      } ?? []
    let path = { (isOurs: ([Substring]) -> Bool) in
      String(lines.first { $0.count == 3 && isOurs($0) }?[2] ?? "/")
    }
    return limits(
      below: "/sys/fs/cgroup", path: path { $0[0] == "0" }, limit: "memory.max", used: "memory.current",
      idle: "inactive_file ")
      + limits(
        below: "/sys/fs/cgroup/memory", path: path { $0[1].split(separator: ",").contains("memory") },
        limit: "memory.limit_in_bytes", used: "memory.usage_in_bytes", idle: "total_inactive_file ")
  }

  private static func limits(
    below root: String, path: String, limit: String, used: String, idle: String
  ) -> [Int] {
    var limits: [Int] = []
    var path = path
    while true {
      let folder = root + (path == "/" ? "" : path)
      // Version 1 says no limit by a number beyond any memory.
      if let limit = number(in: folder + "/" + limit), limit < 1 << 60 {
        let statistics = text(of: folder + "/memory.stat")?.split(separator: "\n") ?? []
        let idleBytes = statistics.first { $0.hasPrefix(idle) }.flatMap { Int($0.dropFirst(idle.count)) } ?? 0
        limits.append(max(0, limit - max(0, (number(in: folder + "/" + used) ?? 0) - idleBytes)))
      }
      guard let slash = path.lastIndex(of: "/"), path.count > 1 else { return limits }
      path = slash == path.startIndex ? "/" : String(path[..<slash])
    }
  }

  /// Nil for `max`, and where there is no such file.
  private static func number(in path: String) -> Int? {
    text(of: path).flatMap { Int($0.split(whereSeparator: \.isWhitespace).first ?? "") }
  }

  /// The start of a file of the system's, which says its length only by ending.
  private static func text(of path: String) -> String? {
    guard let file = try? FileDescriptor.open(FilePath(path), .readOnly) else { return nil }
    defer { try? file.close() }
    var bytes = [UInt8](repeating: 0, count: 1 << 14)
    guard let count = try? unsafe bytes.withUnsafeMutableBytes({ try unsafe file.read(into: $0) }) else { return nil }
    return String(decoding: bytes[..<count], as: UTF8.self)
  }
}

/// Seconds on the monotonic clock.
enum Clock {
  static func now() -> Double {
    var time = timespec()
    unsafe _ = clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}

extension Terminal {
  static var errorIsTerminal: Bool { isatty(2) == 1 }

  /// Columns of the terminal, 80 when it is none; COLUMNS overrules, as everywhere.
  static var width: Int {
    if let columns = Environment["COLUMNS"].flatMap({ Int($0) }), (20...1000).contains(columns) { return columns }
    var size = winsize()
    guard unsafe ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else { return 80 }
    return Int(size.ws_col)
  }
}
