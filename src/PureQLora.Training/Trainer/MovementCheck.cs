using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>Remembers every lora_B before the first update and refuses to go on if one of them did not move.</summary>
internal sealed class MovementCheck(LlamaModel model)
{
    private readonly (LinearLayer Layer, float[] Before)[] _adapters =
        [.. model.Linears.Where(layer => layer.Adapter is { B.RequiresGrad: true }).Select(layer => (layer, layer.Adapter!.B.ToArray()))];

    /// <summary>Compares after the update.</summary>
    /// <exception cref="TrainingFailedException">An adapter gets no gradient.</exception>
    public void Complete(int step)
    {
        string[] still = [.. _adapters.Where(adapter => adapter.Layer.Adapter!.B.ToArray().AsSpan().SequenceEqual(adapter.Before)).Select(adapter => adapter.Layer.Name)];
        if (still.Length > 0)
        {
            throw new TrainingFailedException(
                $"After step {step} lora_B of {still.Length} of {_adapters.Length} adapters had not moved, the first being {still[0]}: they receive no gradient. "
                + "Check that the samples supervise tokens and that the learning rate is not lost in rounding.");
        }
    }
}
