import Glibc
public import SystemPackage

/// Questions about paths.
public enum FileSystem {
  public static func exists(_ path: FilePath) -> Bool { unsafe access(path.string, F_OK) == 0 }

  public static func isDirectory(_ path: FilePath) -> Bool {
    var status = stat()
    return unsafe stat(path.string, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// The entries of a directory but `.` and `..`, sorted by bytes; empty when it cannot be read.
  public static func names(in path: FilePath) -> [String] {
    guard let listing = unsafe opendir(path.string) else { return [] }
    defer { unsafe _ = closedir(listing) }
    var names: [ByteString] = []
    while let entry = unsafe readdir(listing) {
      // Safe: the kernel ends the name with a zero inside its fixed field.
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { unsafe Array($0.prefix { $0 != 0 }) }
      names.append(ByteString(bytes: name))
    }
    return names.sorted().map(\.text).filter { $0 != "." && $0 != ".." }
  }

  public static func byteCount(of path: FilePath) -> Int? {
    var status = stat()
    return unsafe stat(path.string, &status) == 0 ? Int(status.st_size) : nil
  }
}
