using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>AdamW with decoupled weight decay and float32 state.</summary>
/// <remarks>Loshchilov and Hutter, arXiv:1711.05101, algorithm 2; the update equals torch.optim.AdamW.</remarks>
public sealed class AdamW : IDisposable
{
    private readonly Tensor[] _first;
    private readonly Tensor[] _second;

    /// <summary>Creates the optimiser with zero state.</summary>
    /// <param name="parameters">What it updates; the state lies in the memory of the same backend.</param>
    /// <param name="options">Betas, epsilon, decay.</param>
    public AdamW(IReadOnlyList<NamedParameter> parameters, AdamWOptions options)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        (Parameters, Options) = (parameters, options);
        _first = [.. parameters.Select(parameter => parameter.Value.ZerosLike())];
        _second = [.. parameters.Select(parameter => parameter.Value.ZerosLike())];
    }

    /// <summary>What it updates.</summary>
    public IReadOnlyList<NamedParameter> Parameters { get; }

    /// <summary>Betas, epsilon, decay.</summary>
    public AdamWOptions Options { get; }

    /// <summary>Updates made so far.</summary>
    public int Steps { get; internal set; }

    /// <summary>Memory of both moments.</summary>
    public long StateBytes => 2 * Parameters.Sum(parameter => parameter.Value.ByteLength);

    /// <summary>Euclidean norm of all gradients together; not finite as soon as one element is not.</summary>
    public double GradientNorm(IBackend backend)
    {
        ArgumentNullException.ThrowIfNull(backend);
        double sum = 0;
        for (int i = 0; i < Parameters.Count; i++)
        {
            sum += backend.SumOfSquares(Parameters[i].Value.Grad!);
        }

        return Math.Sqrt(sum);
    }

    /// <summary>One update, after which all gradients are zero.</summary>
    /// <param name="backend">Computes.</param>
    /// <param name="learningRate">Rate of this step.</param>
    /// <param name="gradientScale">Factor on every gradient: the clip factor.</param>
    public void Step(IBackend backend, double learningRate, float gradientScale)
    {
        ArgumentNullException.ThrowIfNull(backend);
        Steps++;
        for (int i = 0; i < Parameters.Count; i++)
        {
            Tensor value = Parameters[i].Value;
            backend.AdamWStep(
                value, value.Grad!, _first[i], _second[i], learningRate, Options.Beta1, Options.Beta2, Options.Epsilon, Options.WeightDecay, Steps, gradientScale);
            backend.Zero(value.Grad!);
        }
    }

    /// <summary>Releases both moments.</summary>
    public void Dispose()
    {
        foreach (Tensor state in _first.Concat(_second))
        {
            state.Storage.Dispose();
        }
    }

    /// <summary>State by file name: <c>name.exp_avg</c> and <c>name.exp_avg_sq</c>, as torch calls them.</summary>
    internal IEnumerable<(string Name, Tensor State)> StateTensors()
    {
        for (int i = 0; i < Parameters.Count; i++)
        {
            yield return ($"{Parameters[i].Name}.exp_avg", _first[i]);
            yield return ($"{Parameters[i].Name}.exp_avg_sq", _second[i]);
        }
    }
}
