using System.Globalization;
using System.Text.Json;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>
/// The checkpoints of a run, <c>step-N</c> folders: weights, moments, position. A folder is written under a temporary name and
/// renamed when it is whole, so whatever has the name <c>step-N</c> can be resumed from.
/// </summary>
/// <param name="folder">The run's <c>checkpoints</c> folder.</param>
/// <param name="weights">How the trained weights are stored.</param>
public sealed class CheckpointStore(string folder, TrainedWeights weights)
{
    private const string OptimizerFile = "optimizer.safetensors";
    private const string StateFile = "trainer_state.json";

    /// <summary>Complete checkpoints by step, the oldest first.</summary>
    public IReadOnlyList<(int Step, string Folder)> All() => Find(folder);

    /// <summary>Complete checkpoints below a folder by step, the oldest first.</summary>
    public static IReadOnlyList<(int Step, string Folder)> Find(string folder) => !Directory.Exists(folder)
        ? []
        : [.. Directory.GetDirectories(folder, "step-*").Select(path => (Step: ParseStep(path), Folder: path)).Where(found => found.Step >= 0).OrderBy(found => found.Step)];

    /// <summary>Saves the present state under its step; one that is there already is left alone.</summary>
    /// <returns>The folder.</returns>
    /// <exception cref="UserErrorException">The disk is full or not writable; earlier checkpoints are intact.</exception>
    public string Save(Trainer trainer)
    {
        ArgumentNullException.ThrowIfNull(trainer);
        string target = Path.Combine(folder, $"step-{trainer.StepsDone.ToString(CultureInfo.InvariantCulture)}");
        RunFolder.WriteWhole(target, temporary =>
        {
            weights.Save(temporary);
            SafetensorsWriter.Write(Path.Combine(temporary, OptimizerFile), trainer.Optimizer.StateTensors());
            AtomicFile.WriteText(Path.Combine(temporary, StateFile), JsonSerializer.Serialize(trainer.State));
        });
        return target;
    }

    /// <summary>Puts weights, moments and position of the newest checkpoint back.</summary>
    /// <returns>Its step, or 0 where there is none and the run starts from the beginning.</returns>
    /// <exception cref="UserErrorException">The checkpoint does not belong to this run.</exception>
    public int RestoreNewest(Trainer trainer)
    {
        ArgumentNullException.ThrowIfNull(trainer);
        if (All() is not [.., (int step, string newest)])
        {
            return 0;
        }

        weights.Load(newest);
        RestoreMoments(Path.Combine(newest, OptimizerFile), trainer.Optimizer);
        string statePath = Path.Combine(newest, StateFile);
        try
        {
            trainer.Restore(JsonSerializer.Deserialize<TrainerState>(File.ReadAllText(statePath)) ?? throw new JsonException("it is empty"));
        }
        catch (Exception exception) when (exception is JsonException or IOException or ArgumentException)
        {
            throw new UserErrorException($"{statePath} is damaged ({exception.Message}); delete the folder {newest} to resume from the checkpoint before it.", exception);
        }

        return step;
    }

    /// <summary>Deletes all but the newest checkpoints.</summary>
    /// <param name="keep">How many stay; 0 keeps all.</param>
    public void Prune(int keep)
    {
        if (keep > 0)
        {
            foreach ((_, string old) in All().SkipLast(keep))
            {
                RunFolder.DeleteWhole(old);
            }
        }
    }

    private static void RestoreMoments(string path, AdamW optimizer)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        foreach ((string name, Tensor state) in optimizer.StateTensors())
        {
            if (!file.Contains(name) || file.Info(name).Count != state.Shape.Count)
            {
                throw new UserErrorException($"{path} has no {name} of {state.Shape}; the checkpoint is of another run. Resume with the recipe it was made with.");
            }

            state.CopyFrom(file.ReadFloats(name));
        }
    }

    private static int ParseStep(string path) =>
        int.TryParse(Path.GetFileName(path)["step-".Length..], NumberStyles.None, CultureInfo.InvariantCulture, out int step) ? step : -1;
}
