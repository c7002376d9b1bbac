using System.Globalization;
using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>Runs a trainer to its end with checkpoints, metrics and TensorBoard events.</summary>
/// <param name="folder">The run's files.</param>
/// <param name="trainer">Takes the steps.</param>
/// <param name="store">Its checkpoints.</param>
/// <param name="options">How often to save.</param>
/// <param name="observer">Told of the progress.</param>
internal sealed class TrainingLoop(RunFolder folder, Trainer trainer, CheckpointStore store, TrainingOptions options, IRunObserver observer)
{
    /// <summary>Goes on from the newest checkpoint, or begins.</summary>
    /// <param name="cancellationToken">Looked at after each step.</param>
    /// <exception cref="RunInterruptedException">Cancelled; the present step is saved.</exception>
    /// <exception cref="TrainingFailedException">Loss or gradient not finite, or the device failed; the message names the last good checkpoint.</exception>
    public void Run(CancellationToken cancellationToken)
    {
        int done = store.RestoreNewest(trainer);
        if (done > 0)
        {
            observer.Report("resumed", $"after step {done} of {trainer.TotalSteps}");
        }

        if (done >= trainer.TotalSteps)
        {
            return;
        }

        using MetricsFile metrics = new(folder.Metrics, done);
        using TensorBoardWriter events = new(folder.Path);
        _ = observer.Track("training", trainer.TotalSteps, progress =>
        {
            progress(done, "");
            while (trainer.StepsDone < trainer.TotalSteps)
            {
                Step(metrics, events, progress, cancellationToken);
            }

            return true;
        });
    }

    private void Step(MetricsFile metrics, TensorBoardWriter events, RunProgress progress, CancellationToken cancellationToken)
    {
        try
        {
            StepMetrics step = trainer.Step();
            metrics.Append(step);
            Write(events, step);
            progress(step.Step, string.Create(CultureInfo.InvariantCulture, $"loss {step.Loss:F4}  {step.Tokens / Math.Max(step.Seconds, 1e-9):F0} tokens/s"));
            SaveWhereDue(cancellationToken);
        }
        catch (Exception exception) when (exception is TrainingFailedException or DeviceFailedException)
        {
            string last = store.All() is [.., (_, string path)] ? $"The last good checkpoint is {path}." : "No checkpoint had been saved yet.";
            throw new TrainingFailedException($"{exception.Message} {last}", exception);
        }
    }

    private void SaveWhereDue(CancellationToken cancellationToken)
    {
        bool last = trainer.StepsDone == trainer.TotalSteps;
        bool interrupted = cancellationToken.IsCancellationRequested && !last;
        if (last || interrupted || (options.SaveEvery > 0 && trainer.StepsDone % options.SaveEvery == 0))
        {
            _ = store.Save(trainer);
            store.Prune(options.KeepCheckpoints);
        }

        if (interrupted)
        {
            throw new RunInterruptedException($"Stopped after step {trainer.StepsDone} of {trainer.TotalSteps}, which is saved.", folder.Path);
        }
    }

    private static void Write(TensorBoardWriter events, StepMetrics step)
    {
        events.AddScalar("train/loss", step.Step, step.Loss);
        events.AddScalar("train/learning_rate", step.Step, step.LearningRate);
        events.AddScalar("train/grad_norm", step.Step, step.GradNorm);
        events.AddScalar("train/tokens_per_second", step.Step, step.Tokens / Math.Max(step.Seconds, 1e-9));
        events.Flush();
    }
}
