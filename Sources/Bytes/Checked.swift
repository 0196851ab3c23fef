extension Int {
  /// The product of counts from a file, or nil when it does not fit.
  public static func product(of factors: some Sequence<Int>) -> Int? {
    var result = 1
    for factor in factors {
      let (product, overflow) = result.multipliedReportingOverflow(by: factor)
      if overflow || factor < 0 { return nil }
      result = product
    }
    return result
  }

  /// The next multiple of `alignment`, or nil when it does not fit.
  public func aligned(to alignment: Int) -> Int? {
    let (sum, overflow) = addingReportingOverflow(alignment - 1)
    return overflow ? nil : sum / alignment * alignment
  }
}
