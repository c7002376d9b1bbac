using BenchmarkDotNet.Attributes;
using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="Softmax"/> and <see cref="LogSoftmax"/> over rows.</summary>
public class SoftmaxBenchmark : OperationBenchmark
{
    private Tensor _x = null!;

    /// <summary>Which operation.</summary>
    [Params("Softmax", "LogSoftmax")]
    public string Operation { get; set; } = "Softmax";

    /// <inheritdoc/>
    protected override void Prepare() =>
        _x = Parameter(Tokens, Hidden);

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => Operation == "Softmax" ? Softmax.Forward(scope, _x) : LogSoftmax.Forward(scope, _x);
}
