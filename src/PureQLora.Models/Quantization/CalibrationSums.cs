namespace PureQLora.Models;

/// <summary>What calibration has seen of the input of some layers.</summary>
/// <param name="Hessian">Of the input as the quantised model gives it.</param>
/// <param name="Deviation">How the unquantised model's differs from it; null where nobody asks.</param>
internal sealed record CalibrationSums(HessianAccumulator Hessian, DeviationAccumulator? Deviation);
