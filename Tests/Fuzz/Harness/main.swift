import FuzzedReaders
import Glibc
import SystemPackage

/// One reader, and the file that it reads over and over.
enum Harness {
  static let reader: @Sendable (FilePath) throws -> Void = {
    guard let reader = FuzzedReaders.all[variable("QUERN_FUZZ_FORMAT")] else {
      fatalError("QUERN_FUZZ_FORMAT is one of \(FuzzedReaders.all.keys.sorted().joined(separator: ", "))")
    }
    return reader
  }()
  /// The input's file, filled anew for each run. QUERN_FUZZ_FOLDER holds what some formats want beside it.
  static let path = FilePath(variable("QUERN_FUZZ_FOLDER")).appending("input.index")
  static let descriptor = open(path.string, O_RDWR | O_CREAT | O_TRUNC, 0o600)

  private static func variable(_ name: String) -> String { getenv(name).map { String(cString: $0) } ?? "" }

  static func run(_ data: UnsafePointer<UInt8>, _ count: Int) {
    guard descriptor >= 0, ftruncate(descriptor, 0) == 0, pwrite(descriptor, data, count, 0) == count else {
      fatalError("cannot write \(path)")
    }
    do { try reader(path) } catch { _ = "\(error)" }
  }
}

typealias Target = @convention(c) (UnsafePointer<UInt8>, Int) -> CInt

/// libFuzzer's loop; its own `main` would collide with the package manager's.
@_silgen_name("LLVMFuzzerRunDriver")
func runDriver(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>, _ target: Target
) -> CInt

var count = CommandLine.argc
var arguments = CommandLine.unsafeArgv
exit(
  runDriver(&count, &arguments) { data, count in
    Harness.run(data, count)
    return 0
  })
