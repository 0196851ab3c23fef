import Glibc
import SystemPackage

/// What the program is talking to.
enum Terminal {
  static func standardError(_ text: String) {
    _ = try? FileDescriptor.standardError.writeAll(Array(text.utf8))
  }

  /// Writes bytes at once, whatever they are. Where they cannot be written the program has failed, and ends.
  static func standardOutput(_ bytes: [UInt8]) {
    do {
      _ = try FileDescriptor.standardOutput.writeAll(bytes)
    } catch {
      standardError("quern: standard output: cannot write: \(error)\n")
      exit(ExitStatus.failed)
    }
  }
}
