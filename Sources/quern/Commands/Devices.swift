import ArgumentParser
import Bytes
import Footprint

struct Devices: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the devices this program knows, or show one.",
    discussion: """
      Names are forgiving: rtx3060, "NVIDIA GeForce RTX 3060" and 3060 are one device.

        quern devices
        quern devices "M2 Ultra"
      """)

  @Argument(help: "A device to show.")
  var name: String?

  @OptionGroup var common: CommonOptions

  func run() throws {
    let catalog = try usage { () throws(FootprintError) in try DeviceCatalog() }
    var devices = catalog.devices
    if let name { devices = [try usage { () throws(FootprintError) in try catalog.device(named: name) }] }
    if common.json {
      return printJSON(["devices": .array(devices.map { .object(json($0)) })])
    }
    var table = Table([
      .init(title: "device", isFlexible: true), .init(title: "kind"), .init(title: "memory", alignsRight: true),
      .init(title: "bandwidth", alignsRight: true), .init(title: "16-bit", alignsRight: true),
      .init(title: "sure"),
    ])
    for device in devices {
      table.add(
        device.name, device.kind, device.memoryBytes.map { "\(Format.short(Double($0) / 1_073_741_824)) GiB" } ?? "–",
        device.bandwidthBytesPerSecond.map { "\(Format.short($0 / 1e9)) GB/s" } ?? "–",
        device.float16OperationsPerSecond.map { "\(Format.short($0 / 1e12)) TFLOPS" } ?? "–", device.confidence.rawValue
      )
    }
    print(table.text())
    if name != nil, let device = devices.first {
      print("\nsource: \(device.source)" + (device.note.isEmpty ? "" : "\n\(device.note)"))
    }
  }

  private func json(_ device: Device) -> JSONObject {
    [
      "name": .text(device.name), "vendor": .text(device.vendor), "kind": .text(device.kind),
      "memoryBytes": device.memoryBytes.map { .integer($0) } ?? .null,
      "usableBytes": device.usableBytes.map { .integer($0) } ?? .null,
      "bandwidthBytesPerSecond": device.bandwidthBytesPerSecond.map { .double($0) } ?? .null,
      "float16OperationsPerSecond": device.float16OperationsPerSecond.map { .double($0) } ?? .null,
      "int8OperationsPerSecond": device.int8OperationsPerSecond.map { .double($0) } ?? .null,
      "float32OperationsPerSecond": device.float32OperationsPerSecond.map { .double($0) } ?? .null,
      "confidence": .text(device.confidence.rawValue), "source": .text(device.source), "note": .text(device.note),
    ]
  }
}
