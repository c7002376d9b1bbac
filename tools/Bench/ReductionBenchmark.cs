using BenchmarkDotNet.Attributes;
using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="Reduction"/>: sum and maximum over rows.</summary>
public class ReductionBenchmark : OperationBenchmark
{
    private Tensor _x = null!;

    /// <summary>Which operation.</summary>
    [Params("Sum", "Max")]
    public string Operation { get; set; } = "Sum";

    /// <inheritdoc/>
    protected override void Prepare() =>
        _x = Parameter(Tokens, Hidden);

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => Operation == "Sum" ? Reduction.Sum(scope, _x, 1) : Reduction.Max(scope, _x, 1);
}
