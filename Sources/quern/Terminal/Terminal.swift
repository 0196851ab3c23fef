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
}
