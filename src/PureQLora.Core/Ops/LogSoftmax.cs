namespace PureQLora.Core;

/// <summary>y = x − ln Σ eˣ over the last dimension, without the overflow that the formula alone has.</summary>
public static class LogSoftmax
{
    /// <summary>Logarithms of the probabilities of each row.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">[…, classes], Float32.</param>
    public static Tensor Forward(ComputeScope scope, Tensor x) => Softmax.Forward(scope, x, logarithm: true);
}
