internal import CFormats

/// The data files under Formats/, as embedded in the program.
public enum FormatFiles {
  /// Every file whose path starts with `folder`, in the table's order.
  public static func all(in folder: String) -> [(path: String, bytes: [UInt8])] {
    var table: UnsafePointer<quern_format_file>?
    let count = unsafe quern_format_files(&table)
    // Safe: the table and what it points to are constants of the C target.
    return (0..<count).compactMap { position in
      guard let row = unsafe table?[position] else { return nil }
      let path = unsafe String(cString: row.path)
      guard path.hasPrefix(folder) else { return nil }
      return unsafe (path, Array(UnsafeBufferPointer(start: row.bytes, count: row.byte_count)))
    }
  }
}
