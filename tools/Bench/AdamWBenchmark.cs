using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="IAdamWKernels"/> and <see cref="INormKernels"/> on as many parameters as an activation has elements; both columns are the same.</summary>
public class AdamWBenchmark : OperationBenchmark
{
    private Tensor _parameter = null!;
    private Tensor _grad = null!;
    private Tensor _m = null!;
    private Tensor _v = null!;

    /// <inheritdoc/>
    protected override void Prepare()
    {
        _parameter = Constant(Tokens, Hidden);
        _grad = Constant(Tokens, Hidden);
        _m = Tensor.Create(_grad.Shape);
        _v = Tensor.Create(_grad.Shape);
    }

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope)
    {
        double norm = Math.Sqrt(scope.Backend.SumOfSquares(_grad));
        scope.Backend.AdamWStep(_parameter, _grad, _m, _v, 1e-4, 0.9, 0.999, 1e-8, 0.01, 1, (float)(1 / norm));
        return _parameter;
    }
}
