/// Rows of text in aligned columns that fit the terminal: the column marked flexible is shortened if need be.
struct Table {
  struct Column {
    let title: String
    var alignsRight = false
    /// May be shortened in the middle to make the table fit.
    var isFlexible = false
    /// Left out, the last such column first, where the table would not fit otherwise.
    var isOptional = false
  }

  let columns: [Column]
  private(set) var rows: [[String]] = []

  init(_ columns: [Column]) { self.columns = columns }

  mutating func add(_ cells: String...) { add(cells) }

  mutating func add(_ cells: [String]) {
    precondition(cells.count == columns.count, "a row of another length")
    rows.append(cells)
  }

  func text(width: Int = Terminal.width) -> String {
    if let column = columns.lastIndex(where: \.isOptional), leastWidth > width {
      return without(column).text(width: width)
    }
    var widths = columns.indices.map { column in
      max(columns[column].title.count, rows.map { $0[column].count }.max() ?? 0)
    }
    let gaps = 2 * (columns.count - 1)
    if let flexible = columns.firstIndex(where: \.isFlexible) {
      let excess = widths.reduce(gaps, +) - width
      if excess > 0 { widths[flexible] = max(min(Self.shortest, widths[flexible]), widths[flexible] - excess) }
    }
    let lines = ([columns.map(\.title)] + rows).map { cells in
      var line = ""
      for (column, cell) in cells.enumerated() {
        let text = Self.shortened(cell, to: widths[column])
        let padding = String(repeating: " ", count: widths[column] - text.count)
        line += (column == 0 ? "" : "  ") + (columns[column].alignsRight ? padding + text : text + padding)
      }
      while line.last == " " { line.removeLast() }
      return line
    }
    return lines.joined(separator: "\n")
  }

  private static let shortest = 8

  /// With the flexible column as short as it reads well.
  private var leastWidth: Int {
    let flexible = columns.firstIndex(where: \.isFlexible)
    return columns.indices.reduce(2 * (columns.count - 1)) { sum, column in
      let width = max(columns[column].title.count, rows.map { $0[column].count }.max() ?? 0)
      return sum + (column == flexible ? min(width, 2 * Self.shortest) : width)
    }
  }

  private func without(_ column: Int) -> Table {
    func rest<Element>(_ array: [Element]) -> [Element] { Array(array[..<column] + array[(column + 1)...]) }
    var result = Table(rest(columns))
    result.rows = rows.map(rest)
    return result
  }

  private static func shortened(_ text: String, to width: Int) -> String {
    guard text.count > width else { return text }
    let head = (width - 1) / 2
    return text.prefix(head) + "…" + text.suffix(width - 1 - head)
  }
}
