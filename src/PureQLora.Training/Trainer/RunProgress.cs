namespace PureQLora.Training;

/// <summary>Shows how far a piece of work is.</summary>
/// <param name="done">0 to the total.</param>
/// <param name="detail">Such as the loss; may be empty.</param>
public delegate void RunProgress(double done, string detail);
