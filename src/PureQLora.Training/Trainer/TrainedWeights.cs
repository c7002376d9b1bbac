namespace PureQLora.Training;

/// <summary>What a run trains, as its checkpoints store it: an adapter, or a whole model.</summary>
public abstract class TrainedWeights
{
    /// <summary>Writes the weights into an existing folder.</summary>
    public abstract void Save(string folder);

    /// <summary>Copies the weights of a folder into the model's parameters.</summary>
    public abstract void Load(string folder);
}
