namespace PureQLora.Models;

/// <summary>What quantising one layer did.</summary>
/// <param name="Layer">Module name.</param>
/// <param name="Loss">tr((W−Q) H (W−Q)ᵀ): the squared error of the layer's output over the calibration data; NaN without calibration.</param>
/// <param name="RoundToNearestLoss">The same for rounding to nearest on the same grid rule; NaN without calibration.</param>
/// <param name="Damping">Share of the mean diagonal that was added to the Hessian; NaN without calibration.</param>
/// <param name="BytesBefore">Memory of the dense weight.</param>
/// <param name="BytesAfter">Memory of codes, scales and zero points.</param>
/// <param name="Duration">Time taken by this layer alone.</param>
/// <param name="Warning">One sentence where the quantisation departed from its options.</param>
public sealed record LayerQuantization(
    string Layer, double Loss, double RoundToNearestLoss, double Damping, long BytesBefore, long BytesAfter, TimeSpan Duration, string? Warning);
