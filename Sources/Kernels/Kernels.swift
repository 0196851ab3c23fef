public import CKernels

/// The C kernels for one instruction set. Every set computes the same bits; they differ in speed only.
@safe public struct Kernels: @unchecked Sendable {
  /// The C table, for the layers that call entries directly. A constant of the program: valid for ever, never changes.
  public let table: UnsafePointer<quern_kernels>

  /// `generic`, `avx2`, `avx512` or `neon`.
  public var name: String { unsafe String(cString: table.pointee.name) }

  /// What the processor must offer, for messages.
  public var features: String { unsafe String(cString: table.pointee.features) }

  var math: quern_math_table { unsafe table.pointee.math.pointee }

  /// The tables in this build, best first; the last one is `generic`.
  static var compiled: [Kernels] {
    var list: UnsafePointer<UnsafePointer<quern_kernels>?>?
    let count = unsafe quern_kernels_all(&list)
    return unsafe UnsafeBufferPointer(start: list, count: count).compactMap { pointer in
      unsafe pointer.map { unsafe Kernels(table: $0) }
    }
  }

  var isSupported: Bool { unsafe quern_kernels_supported(table) != 0 }

  /// The tables this processor can run, best first; never empty.
  public static var available: [Kernels] { compiled.filter(\.isSupported) }

  /// The fastest table this processor can run.
  public static func best() -> Kernels { available[0] }

  /// The table of that name.
  public static func named(_ name: String) throws(KernelSelectionError) -> Kernels {
    guard let found = compiled.first(where: { $0.name == name }) else {
      throw .unknown(name: name, known: compiled.map(\.name))
    }
    guard found.isSupported else {
      throw .unsupported(name: name, features: found.features, available: available.map(\.name))
    }
    return found
  }
}
