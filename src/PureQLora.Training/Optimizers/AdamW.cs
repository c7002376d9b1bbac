using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>AdamW with decoupled weight decay and float32 state.</summary>
/// <remarks>
/// Loshchilov and Hutter, arXiv:1711.05101, algorithm 2; the update equals torch.optim.AdamW. All parameters are one tensor to the kernels, so
/// that a device is asked once for the norm and once for the update.
/// </remarks>
public sealed class AdamW : IDisposable
{
    private readonly ParameterBlock _block;
    private readonly Tensor _first;
    private readonly Tensor _second;

    /// <summary>Creates the optimiser with zero state.</summary>
    /// <param name="parameters">What it updates: moved into one block of the memory they are in, where the state lies too.</param>
    /// <param name="options">Betas, epsilon, decay.</param>
    public AdamW(IReadOnlyList<NamedParameter> parameters, AdamWOptions options)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        (Parameters, Options) = (parameters, options);
        _block = new ParameterBlock([.. parameters.Select(parameter => parameter.Value)]);
        (_first, _second) = (_block.NewState(), _block.NewState());
    }

    /// <summary>What it updates.</summary>
    public IReadOnlyList<NamedParameter> Parameters { get; }

    /// <summary>Betas, epsilon, decay.</summary>
    public AdamWOptions Options { get; }

    /// <summary>Updates made so far.</summary>
    public int Steps { get; internal set; }

    /// <summary>Memory of both moments.</summary>
    public long StateBytes => _first.ByteLength + _second.ByteLength;

    /// <summary>Euclidean norm of all gradients together; not finite as soon as one element is not.</summary>
    public double GradientNorm(IBackend backend)
    {
        ArgumentNullException.ThrowIfNull(backend);
        return Math.Sqrt(backend.SumOfSquares(_block.Gradients));
    }

    /// <summary>One update, after which all gradients are zero.</summary>
    /// <param name="backend">Computes.</param>
    /// <param name="learningRate">Rate of this step.</param>
    /// <param name="gradientScale">Factor on every gradient: the clip factor.</param>
    public void Step(IBackend backend, double learningRate, float gradientScale)
    {
        ArgumentNullException.ThrowIfNull(backend);
        Steps++;
        backend.AdamWStep(
            _block.Values, _block.Gradients, _first, _second, learningRate, Options.Beta1, Options.Beta2, Options.Epsilon, Options.WeightDecay, Steps, gradientScale);
        backend.Zero(_block.Gradients);
    }

    /// <summary>Releases both moments.</summary>
    public void Dispose()
    {
        _first.Storage.Dispose();
        _second.Storage.Dispose();
    }

    /// <summary>State by file name: <c>name.exp_avg</c> and <c>name.exp_avg_sq</c>, as torch calls them.</summary>
    internal IEnumerable<(string Name, Tensor State)> StateTensors()
    {
        for (int i = 0; i < Parameters.Count; i++)
        {
            yield return ($"{Parameters[i].Name}.exp_avg", _block.ViewOf(_first, i));
            yield return ($"{Parameters[i].Name}.exp_avg_sq", _block.ViewOf(_second, i));
        }
    }
}
