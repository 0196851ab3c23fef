import ArgumentParser
import Bytes
import Conversion

struct Containers: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the kinds of files that are read and written, and what each loses.")

  @OptionGroup var common: CommonOptions

  func run() throws {
    if common.json {
      return printJSON([
        "containers": .array(
          ContainerTable.rows.map { row in
            .object([
              "container": .text(row.container.rawValue), "title": .text(row.title), "reads": .text(row.reads),
              "writes": .text(row.writes), "loses": .text(row.loses),
            ])
          })
      ])
    }
    print(ContainerTable.markdown)
  }
}
