import Glibc
import SystemPackage

/// What the program is talking to.
enum Terminal {
  static func standardError(_ text: String) {
    _ = try? FileDescriptor.standardError.writeAll(Array(text.utf8))
  }

  /// Writes bytes at once, whatever they are, and not through `print`'s buffer.
  static func standardOutput(_ bytes: [UInt8]) {
    _ = try? FileDescriptor.standardOutput.writeAll(bytes)
  }

  static var errorIsTerminal: Bool { isatty(2) == 1 }

  /// Columns of the terminal, 80 when it is none.
  static var width: Int {
    var size = winsize()
    guard unsafe ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else { return 80 }
    return Int(size.ws_col)
  }
}
