using BenchmarkDotNet.Attributes;
using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="Unary"/> and <see cref="Binary"/>: one cheap, one dear and one of two inputs.</summary>
public class ElementwiseBenchmark : OperationBenchmark
{
    private Tensor _x = null!;
    private Tensor _other = null!;

    /// <summary>Which operation.</summary>
    [Params("Add", "Silu", "Gelu")]
    public string Operation { get; set; } = "Add";

    /// <inheritdoc/>
    protected override void Prepare()
    {
        _x = Parameter(Tokens, Hidden);
        _other = Parameter(Tokens, Hidden);
    }

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => Operation switch
    {
        "Add" => Binary.Add(scope, _x, _other),
        "Silu" => Unary.Silu(scope, _x),
        _ => Unary.Gelu(scope, _x),
    };
}
