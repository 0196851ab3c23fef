/// A table as text: rows of cells, commas between, quotes around cells that hold commas (RFC 4180). Our own files only.
struct CommaSeparated {
  let columns: [String]
  let rows: [[String: String]]

  /// - Throws: `invalidData` when a row has another number of cells than the first.
  init(_ bytes: [UInt8], file: String) throws(FootprintError) {
    var table: [[String]] = []
    var row: [String] = []
    var cell: [UInt8] = []
    var isQuoted = false
    func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
    for (position, byte) in bytes.enumerated() {
      switch byte {
      case UInt8(ascii: "\""):
        // A doubled quote inside quotes is one.
        if isQuoted, position + 1 < bytes.count, bytes[position + 1] == byte { cell.append(byte) }
        isQuoted.toggle()
      case UInt8(ascii: ",") where !isQuoted:
        row.append(text(cell))
        cell = []
      case UInt8(ascii: "\n") where !isQuoted:
        row.append(text(cell))
        cell = []
        table.append(row)
        row = []
      case UInt8(ascii: "\r") where !isQuoted: break
      default: cell.append(byte)
      }
    }
    if !cell.isEmpty || !row.isEmpty { table.append(row + [text(cell)]) }
    guard let header = table.first else { throw .invalidData(file: file, found: "no header") }
    var rows: [[String: String]] = []
    for cells in table.dropFirst() {
      guard cells.count == header.count else {
        throw .invalidData(file: file, found: "\(cells.count) cells in a row of \(header.count): \(cells.first ?? "")")
      }
      rows.append(Dictionary(zip(header, cells), uniquingKeysWith: { first, _ in first }))
    }
    columns = header
    self.rows = rows
  }
}
