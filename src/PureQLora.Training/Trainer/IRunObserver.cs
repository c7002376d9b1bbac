using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>Hears what a <see cref="TrainingRun"/> does. Every member has a silent default, so an observer implements only what it shows.</summary>
public interface IRunObserver
{
    /// <summary>Something was found out or done.</summary>
    /// <param name="name">What, such as <c>trainable</c>.</param>
    /// <param name="value">How much or which.</param>
    void Report(string name, string value)
    {
    }

    /// <summary>The first training sample as text; what the model only reads stands between ⟦ and ⟧.</summary>
    void ReportSample(string rendered)
    {
    }

    /// <summary>The base was quantised.</summary>
    /// <param name="layers">One entry a layer, in order.</param>
    void ReportQuantization(IReadOnlyList<LayerQuantization> layers)
    {
    }

    /// <summary>A state of the model was measured on a set of problems, or its stored result was read.</summary>
    void ReportEvaluation(EvaluationResult result)
    {
    }

    /// <summary>Surrounds work that takes long.</summary>
    /// <param name="title">What is done.</param>
    /// <param name="total">Value at which it is finished.</param>
    /// <param name="work">To be called once, with whatever shows how far it is.</param>
    /// <typeparam name="T">What the work gives.</typeparam>
    T Track<T>(string title, double total, Func<RunProgress, T> work)
    {
        ArgumentNullException.ThrowIfNull(work);
        return work(static (_, _) => { });
    }
}
